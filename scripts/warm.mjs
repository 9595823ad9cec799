// node scripts/warm.mjs BUNDLE ENTRY ARGS...: runs a bundle until it listens. Tells the parent which chunks that took, and
// keeps the code of the first file that V8 compiled until then, and of the second when it is told to end.
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { codeFile, compile, run } from './load.mjs';

const [file, entry, ...args] = process.argv.slice(2);
process.argv = [process.argv[0], entry, ...args];
const scripts = new Map();
const { write } = process.stdout;
process.stdout.write = (...line) => {
  process.stdout.write = write;
  // What comes after is nothing that a start should read.
  keep(file);
  process.send([...ran.keys()]);
  return process.stdout.write(...line);
};
const keep = (part) => writeFileSync(codeFile(part), scripts.get(part).createCachedData());
process.once('exit', () => {
  for (const part of scripts.keys()) if (part !== file) keep(part);
});
const { ran } = run(file, pathToFileURL(entry).href, (part, from) => {
  const script = compile(part, from);
  scripts.set(part, script);
  return script;
});
