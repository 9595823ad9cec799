// Puts the chunks of a build, ES modules, together as CommonJS scripts: V8 keeps the code of such a one, and not that of a module.
import { createHash } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { transform } from 'esbuild';
import { laterFile } from './load.mjs';

/** Takes the chunks of a folder away, each made a function of what load.mjs gives it: text by name. */
export async function takeChunks(folder) {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.mjs'));
  const chunks = await Promise.all(
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
        minifySyntax: true,
        minifyWhitespace: true,
        legalComments: 'none',
        logLevel: 'silent',
      });
      const exported = withValues(withoutCopies(code), text);
      return { name: `./${name}`, text: inAscii(`(exports, require, module) {"use strict";${exported}}`) };
    }),
  );
  refuseCircles(chunks);
  return chunks;
}

// Of each of Node's own modules esbuild makes an object with a getter for every name, in every chunk; only `default` needs one.
const withoutCopies = (code) =>
  code.replace(/\b(\w+)=__toESM\((require\("node:[\w/]+"\))(?:,1)?\)/g, (made, name, module) =>
    code.includes(`${name}.default`) ? made : `${name}=${module}`,
  );

/**
 * esbuild exports getters, as what a name stands for may change: made one by one at start, and called at each use. What does
 * not change is handed on as it is, once its chunk has run.
 */
function withValues(code, text) {
  // The object of getters is copied for who would change `module.exports`, and here nobody does.
  const plain = code.replace(/\bmodule\.exports=__toCommonJS\((\w+)\)/, 'module.exports=$1');
  const getters = /\b__export\((\w+),\{([^{}]*)\}\);module\.exports=\1;/.exec(plain);
  if (getters === null || /\b__(?:reExport|esm)\b/.test(plain)) return plain;
  const [whole, object, list] = getters;
  const rest = plain.replace(whole, () => '');
  const all = list.split(',').map((one) => one.split(':()=>'));
  const [live, settled] = [true, false].map((wanted) => all.filter(([, name]) => mayChange(name, text) === wanted));
  const values = `{${settled.map((one) => one.join(':')).join(',')}}`;
  if (live.length === 0) return `${rest};module.exports=${values};`;
  const asked = live.map((one) => one.join(':()=>')).join(',');
  return `${rest};__export(${object},{${asked}});module.exports=Object.assign(${object},${values});`;
}

/**
 * Whether a name at the top of a chunk, as esbuild prints it, may come to stand for something else than it is declared with:
 * it does not begin with something, or is given something elsewhere, there or where a scope has the same name for itself.
 */
function mayChange(name, text) {
  const own = name.replaceAll('$', '\\$');
  const word = `(?<![\\w$.])${own}(?![\\w$])`;
  const times = (pattern) => text.match(new RegExp(pattern, 'gm'))?.length ?? 0;
  const made = times(`^(?:async )?function\\*? ${own}\\(|^class ${own} |^(?:var|let|const) ${own} = `);
  const given = times(
    `${word} (?:[-+*/%&|^?<>]{1,3})?= |(?:\\+\\+|--)${word}|${word}(?:\\+\\+|--)|for \\(${word} (?:of|in) `,
  );
  const inList = times(`(?:^ *|[(;,] )\\(?(?:\\[[^\\]()]*${word}[^\\]()]*\\]|\\{[^{}()]*${word}[^{}()]*\\}) = `);
  return made !== 1 || given !== times(`^(?:var|let|const) ${own} = `) || inList > 0;
}

/** Of two chunks that wait for each other one would be handed what the other has not made yet. */
function refuseCircles(chunks) {
  const needs = new Map(
    chunks.map(({ name, text }) => [
      name,
      [...text.matchAll(/\brequire\("(\.\/[\w.-]+)"\)/g)].map(([, other]) => other),
    ]),
  );
  const done = new Set();
  const visit = (name, path) => {
    if (path.includes(name)) throw new Error(`chunks need each other: ${[...path, name].join(' > ')}`);
    if (done.has(name)) return;
    for (const other of needs.get(name) ?? []) visit(other, [...path, name]);
    done.add(name);
  };
  for (const { name } of chunks) visit(name, []);
}

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
