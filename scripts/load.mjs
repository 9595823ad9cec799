// Runs a bundle that was put together from chunks (link.mjs), by the code that V8 kept of it when it was built: most of a
// cold start is compiling. Where there is none, or it is of another Node, the bundle is compiled as ever. Bundled into each
// entry of dist/.

// `import` makes a module of each of Node's own first, and reads every name of it, asked for or not.
const own = process.getBuiltinModule;
const { closeSync, fstatSync, openSync, readSync } = own('node:fs');
const { createRequire } = own('node:module');
const { fileURLToPath } = own('node:url');
const { Script } = own('node:vm');

export const beside = (url, path) => fileURLToPath(new URL(path, url));

/** Where the code of a bundle is kept: beside it, both named by the same hash of the source. V8 does not tell processors apart. */
export const codeFile = (file) => `${file}.${process.arch}.code`;

/** What of a bundle no start needs lies in a second file, with kept code of its own, and is read when it is first asked for. */
export const laterFile = (file) => file.replace(/\.cjs$/, '.later.cjs');

/** @param {string} file absolute path of the bundle; `from`: where it is open already */
export function compile(file, from) {
  const source = from ?? openSync(file);
  const code = openCode(file);
  const [sourceBytes, codeBytes] = [source, code].map((fd) => (fd === undefined ? 0 : fstatSync(fd).size));
  // One after the other in the same memory: the first touch of each page takes longer than what is done with it.
  const both = Buffer.allocUnsafeSlow(Math.max(sourceBytes, codeBytes));
  // ASCII, and read as such: a string of one byte a character is half the memory.
  const text = read(source, both.subarray(0, sourceBytes)).latin1Slice();
  const cachedData = code === undefined ? code : read(code, both.subarray(0, codeBytes));
  for (const fd of [source, code]) if (fd !== undefined && fd !== from) closeSync(fd);
  // Kept code says what its file was called when it was built: its folder then is nobody's business, and not there any more.
  // By way of a buffer, as a part of a string is kept with the whole of it.
  const filename = Buffer.from(file.replace(/^.*[\\/]/, '')).latin1Slice();
  return new Script(text, { filename, cachedData });
}

/** As much of a file as there is for it, or as there is of it. */
function read(fd, into) {
  for (let at = 0; at < into.length; ) {
    const taken = readSync(fd, into, at, into.length - at, at);
    if (taken === 0) return into.subarray(0, at);
    at += taken;
  }
  return into;
}

/**
 * @param {(file: string, from?: number) => import('node:vm').Script} compiled `compile`, or something that remembers what it returned
 * @returns what the bundle's entry exports, and the names of the chunks that ran; `import.meta.url` inside is `entryUrl`
 */
export function run(file, entryUrl, compiled = compile) {
  const modules = new Map();
  const others = new Map();
  const chunks = {};
  const outside = createRequire(file);
  // As import() does: not before its caller has come to an end.
  const importChunk = (name) => Promise.resolve(name).then(require);
  const take = (...part) => Object.assign(chunks, compiled(...part).runInThisContext()(entryUrl, importChunk));
  // Held from the start: a build that comes while this process runs takes it away.
  const later = openSync(laterFile(file));

  function require(name) {
    if (!name.startsWith('./')) {
      // Node looks up again what it has found before.
      if (!others.has(name)) others.set(name, name.startsWith('node:') ? own(name) : outside(name));
      return others.get(name);
    }
    const known = modules.get(name);
    if (known !== undefined) return known.exports;
    if (!Object.hasOwn(chunks, name)) take(laterFile(file), later);
    const chunk = chunks[name];
    const module = { exports: {} };
    modules.set(name, module);
    try {
      chunk(module.exports, require, module);
    } catch (error) {
      // What was amiss may have passed when it is asked for again.
      modules.delete(name);
      throw error;
    }
    return module.exports;
  }

  take(file);
  return { exported: require('./app.mjs'), ran: modules };
}

function openCode(file) {
  try {
    return openSync(codeFile(file));
  } catch {
    return undefined;
  }
}
