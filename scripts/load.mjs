// Runs a CommonJS bundle by the code that V8 kept of it when it was built: most of a cold start is compiling. Where there is
// none, or it is of another Node, the bundle is compiled as ever. Bundled into each entry of dist/.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';

/** Where the code of a bundle is kept: beside it, both named by the same hash of the source. V8 does not tell processors apart. */
export const codeFile = (file) => `${file}.${process.arch}.code`;

/** @param {string} file absolute path of the bundle */
export function compile(file) {
  // ASCII, and read as such: a string of one byte a character is half the memory.
  return new Script(readFileSync(file, 'latin1'), { filename: file, cachedData: readCode(file) });
}

/** @returns what the bundle exports; `import.meta.url` inside it is `entryUrl` */
export function run(script, file, entryUrl) {
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, entryUrl);
  return module.exports;
}

function readCode(file) {
  try {
    return readFileSync(codeFile(file));
  } catch {
    return undefined;
  }
}
