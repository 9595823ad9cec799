// node scripts/warm.mjs BUNDLE ENTRY ARGS...: runs a bundle once and keeps the code that V8 compiled of it, when it ends.
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { codeFile, compile, run } from './load.mjs';

const [file, entry, ...args] = process.argv.slice(2);
process.argv = [process.argv[0], entry, ...args];
const script = compile(file);
process.once('exit', () => writeFileSync(codeFile(file), script.createCachedData()));
run(script, file, pathToFileURL(entry).href);
