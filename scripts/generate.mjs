// npm run generate: writes what is derived from the catalogs and routes. With --check it writes nothing and fails when a
// file is not what it would write.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from './bundles.mjs';
import { loadTs } from './load-ts.mjs';

const check = process.argv.includes('--check');
const { configJsonSchema } = await loadTs('src/config/sections/schema.ts');
const { configTables } = await loadTs('src/config/text/tables.ts');
const { openApiDocument } = await loadTs('src/http/openapi.ts');

const files = {
  'src/config/schema.generated.json': json(configJsonSchema()),
  'src/http/openapi.generated.json': json(openApiDocument()),
  'docs/configuration.md': withTables(await readFile(join(root, 'docs/configuration.md'), 'utf8'), configTables()),
};

const stale = [];
for (const [file, text] of Object.entries(files)) {
  const path = join(root, file);
  if ((await readFile(path, 'utf8').catch(() => '')) === text) continue;
  stale.push(file);
  if (!check) await writeFile(path, text);
}

if (check && stale.length > 0) {
  console.error(`not up to date: ${stale.join(', ')} (npm run generate)`);
  process.exitCode = 1;
} else if (!check) {
  console.log(stale.length === 0 ? 'all up to date' : `written: ${stale.join(', ')}`);
}

function json(value) {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Puts each table between `<!-- table NAME -->` and the next `<!-- end -->`. */
function withTables(page, tables) {
  let filled = page;
  for (const [name, rows] of Object.entries(tables)) {
    const place = new RegExp(`(<!-- table ${name} -->\\n)[^]*?(<!-- end -->)`);
    if (!place.test(filled)) throw new Error(`docs/configuration.md has no place for the table ${name}`);
    filled = filled.replace(place, (_, begin, end) => `${begin}\n${rows}\n${end}`);
  }
  return filled;
}
