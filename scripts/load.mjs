// Runs a bundle that was put together from chunks (link.mjs), by the code that V8 kept of it when it was built: most of a
// cold start is compiling. Where there is none, or it is of another Node, the bundle is compiled as ever. Bundled into each
// entry of dist/.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';

/** Where the code of a bundle is kept: beside it, both named by the same hash of the source. V8 does not tell processors apart. */
export const codeFile = (file) => `${file}.${process.arch}.code`;

/** What of a bundle no start needs lies in a second file, with kept code of its own, and is read when it is first asked for. */
export const laterFile = (file) => file.replace(/\.cjs$/, '.later.cjs');

/** @param {string} file absolute path of the bundle */
export function compile(file) {
  // ASCII, and read as such: a string of one byte a character is half the memory.
  return new Script(readFileSync(file, 'latin1'), { filename: file, cachedData: readCode(file) });
}

/**
 * @param {(file: string) => import('node:vm').Script} compiled `compile`, or something that remembers what it returned
 * @returns what the bundle's entry exports, and the names of the chunks that ran; `import.meta.url` inside is `entryUrl`
 */
export function run(file, entryUrl, compiled = compile) {
  const modules = new Map();
  const others = new Map();
  const chunks = {};
  const outside = createRequire(file);
  const importChunk = async (name) => require(name);
  const read = (part) => Object.assign(chunks, compiled(part).runInThisContext()(entryUrl, importChunk));

  function require(name) {
    if (!name.startsWith('./')) {
      // Node looks up again what it has found before.
      if (!others.has(name)) others.set(name, outside(name));
      return others.get(name);
    }
    const known = modules.get(name);
    if (known !== undefined) return known.exports;
    if (!Object.hasOwn(chunks, name)) read(laterFile(file));
    const module = { exports: {} };
    modules.set(name, module);
    chunks[name](module.exports, require, module);
    return module.exports;
  }

  read(file);
  return { exported: require('./app.mjs'), ran: modules };
}

function readCode(file) {
  try {
    return readFileSync(codeFile(file));
  } catch {
    return undefined;
  }
}
