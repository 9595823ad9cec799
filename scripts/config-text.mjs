// The config that a build bundles, read as strictly as a server reads it: what it would refuse is not made into something else.
import { readFile } from 'node:fs/promises';
import { loadTs } from './load-ts.mjs';

/** As JSON, so that a function needs no YAML parser at start. Throws for what is no config's text, saying where. */
export async function readConfigText(file, path) {
  const bytes = await readFile(path).catch((cause) => {
    throw new Error(`cannot read ${file}`, { cause });
  });
  const { placeAt, readSource, readText } = await loadTs('src/config/text/source.ts');
  const text = readText(bytes);
  if (typeof text !== 'string') throw new Error(`${file}:${text.line}:${text.column}: ${text.message}`);
  const source = await readSource(text);
  if (!('spots' in source)) return JSON.stringify(source.value);
  const lines = source.spots.map(({ at, message }) => {
    const { line, column } = placeAt(text, at);
    return `${file}:${line}:${column}: ${message}`;
  });
  throw new Error(lines.join('\n'));
}
