import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configTables } from '../../../src/config/text/tables.ts';

const page = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');

test.each(Object.entries(configTables()))(
  'the documentation has the table of %s as the catalog makes it',
  (_, rows) => {
    expect(page).toContain(rows);
  },
);

test('a table says which members may be left out, and for what', () => {
  const { credentials, stores } = configTables();
  expect(credentials).toContain(
    '`host`, `port?` (6379), `tls?`, `formerly?`, `database?`, `admin`, `rules`, `ttl?` | Node, Lambda |',
  );
  expect(stores).toContain('| `local` | A folder of encrypted files | `path`, `key?`, `cache?` | Node |\n');
});
