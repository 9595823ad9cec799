// Preloaded: before the first line on stdout a line of its own with the processor time that the process has had, milliseconds.
const { writeSync } = require('node:fs');

const stdout = Object.getOwnPropertyDescriptor(process, 'stdout');
Object.defineProperty(process, 'stdout', {
  ...stdout,
  get() {
    Object.defineProperty(process, 'stdout', stdout);
    const stream = process.stdout;
    const { write } = stream;
    stream.write = (...args) => {
      stream.write = write;
      const { user, system } = process.cpuUsage();
      writeSync(1, `${JSON.stringify({ cpu: (user + system) / 1_000 })}\n`);
      return stream.write(...args);
    };
    return stream;
  },
});
