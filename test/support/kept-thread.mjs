// Runs one worker module after another as if each had a thread of its own: what ends with a thread ends here, too.
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(import.meta.url);
const threads = require('node:worker_threads');
const Database = require('libsql');
const control = threads.parentPort;
const ended = Symbol('ended');
let current;
let count = 0;

/** Remembers what has been opened, as a thread that ends closes it. */
class Noted extends Database {
  constructor(...given) {
    super(...given);
    current.opened.push(this);
  }
  prepare(sql) {
    const statement = super.prepare(sql);
    current.prepared.push(statement);
    return statement;
  }
}
require.cache[require.resolve('libsql')].exports = Noted;

function end(answer) {
  // Each statement holds its database open.
  for (const statement of current.prepared) statement.stmt = undefined;
  for (const database of current.opened) {
    if (database.open) database.close();
    database.db = undefined;
  }
  for (const port of current.ports) port.close();
  current = undefined;
  control.postMessage(answer);
}

process.exit = (code = 0) => {
  end({ code });
  throw ended;
};
process.on('uncaughtException', (error) => {
  if (error !== ended) throw error;
});

control.on('message', async ({ url, workerData, port }) => {
  const ports = [port, ...Object.values(workerData).filter((value) => value instanceof threads.MessagePort)];
  current = { ports, opened: [], prepared: [] };
  Object.assign(threads, { workerData, parentPort: port });
  syncBuiltinESMExports();
  try {
    await import(`${pathToFileURL(url).href}?${++count}`);
  } catch (error) {
    if (error !== ended) end({ code: 1, error });
  }
});
