// node scripts/warm.mjs BUNDLE ENTRY ARGS...: runs a bundle until it listens. Tells the parent which chunks that took, and
// when it is told to end keeps the code that V8 compiled.
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { codeFile, compile, run } from './load.mjs';

const [file, entry, ...args] = process.argv.slice(2);
process.argv = [process.argv[0], entry, ...args];
const scripts = new Map();
const { write } = process.stdout;
process.stdout.write = (...line) => {
  process.stdout.write = write;
  process.send([...ran.keys()]);
  return process.stdout.write(...line);
};
process.once('exit', () => {
  for (const [part, script] of scripts) writeFileSync(codeFile(part), script.createCachedData());
});
const { ran } = run(file, pathToFileURL(entry).href, (part, from) => {
  const script = compile(part, from);
  scripts.set(part, script);
  return script;
});
