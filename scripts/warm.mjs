// node scripts/warm.mjs BUNDLE ENTRY ARGS...: runs a bundle, and tells the parent which chunks it took until it listened, and its
// first line. Keeps the code that V8 compiled by then, and all it compiled by the time it is told to end.
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { codeFile, compile, run } from './load.mjs';

const [file, entry, ...args] = process.argv.slice(2);
process.argv = [process.argv[0], entry, ...args];
const scripts = new Map();
const { write } = process.stdout;
process.stdout.write = (...line) => {
  process.stdout.write = write;
  keep(file);
  process.send({ ran: [...ran.keys()], line: String(line[0]) });
  return process.stdout.write(...line);
};
const keep = (part) => writeFileSync(codeFile(part), scripts.get(part).createCachedData());
// Before it ends: how to end is nothing that a start should read.
process.once('message', () => {
  for (const part of scripts.keys()) keep(part);
  process.kill(process.pid, 'SIGTERM');
});
const { ran } = run(file, pathToFileURL(entry).href, (part, from) => {
  const script = compile(part, from);
  scripts.set(part, script);
  return script;
});
