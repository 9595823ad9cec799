// Puts the chunks of a build, ES modules, together as CommonJS scripts: V8 keeps the code of such a one, and not that of a module.
import { createHash } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { transform } from 'esbuild';
import { laterFile } from './load.mjs';

/** Takes the chunks of a folder away, each made a function of what load.mjs gives it: text by name. */
export async function takeChunks(folder) {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.mjs'));
  return Promise.all(
    names.sort().map(async (name) => {
      const text = await readFile(join(folder, name), 'utf8');
      await rm(join(folder, name));
      // A chunk that is there already needs none of what CommonJS modules of others do.
      const own = text.replace(/\bimport\((["']\.\/[\w.-]+\.mjs["'])\)/g, 'importChunk($1)');
      const { code } = await transform(own, {
        format: 'cjs',
        target: 'node20',
        platform: 'node',
        supported: { 'dynamic-import': false },
        minifyWhitespace: true,
        legalComments: 'none',
        logLevel: 'silent',
      });
      // The object of getters is copied for who would change `module.exports`, and here nobody does.
      const exported = withoutCopies(code).replace(/\bmodule\.exports=__toCommonJS\((\w+)\)/, 'module.exports=$1');
      return { name: `./${name}`, text: inAscii(`(exports, require, module) {"use strict";${exported}}`) };
    }),
  );
}

// Of each of Node's own modules esbuild makes an object with a getter for every name, in every chunk; only `default` needs one.
const withoutCopies = (code) =>
  code.replace(/\b(\w+)=__toESM\((require\("node:[\w/]+"\))(?:,1)?\)/g, (made, name, module) =>
    code.includes(`${name}.default`) ? made : `${name}=${module}`,
  );

// esbuild escapes what is in strings, and leaves a regular expression as it was written.
const inAscii = (text) =>
  text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Writes a bundle in two files: the chunks that `atStart` names, and the rest. @returns the path of the first */
export async function writeBundle(folder, chunks, atStart = chunks.map(({ name }) => name)) {
  // Of the same chunks otherwise parted there may be a running server.
  const hash = createHash('sha256')
    .update(JSON.stringify([chunks, atStart]))
    .digest('hex')
    .slice(0, 8)
    .toUpperCase();
  const file = join(folder, `app-${hash}.cjs`);
  const first = new Set(atStart);
  await writeFile(file, scriptOf(chunks.filter(({ name }) => first.has(name))));
  await writeFile(laterFile(file), scriptOf(chunks.filter(({ name }) => !first.has(name))));
  return file;
}

const scriptOf = (chunks) =>
  `(function (entryUrl, importChunk) {return {${chunks.map(({ name, text }) => `${JSON.stringify(name)}${text}`).join(',\n')}}})`;
