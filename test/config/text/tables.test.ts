import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configJsonSchema } from '../../../src/config/sections/schema.ts';
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

/** What the schema of a config has, as far as it is looked at here. */
interface Shape {
  readonly properties: Readonly<Record<string, Shape>>;
  readonly anyOf: readonly Shape[];
}

test('the documentation names every section, and every member of what a ledger takes about its closed logs', () => {
  const { properties } = configJsonSchema() as Shape;
  const [, sections = ''] = /^Sections: (.*)\.$/m.exec(page) ?? [];
  expect([...sections.matchAll(/`(\w+)`/g)].map(([, name]) => name)).toEqual(Object.keys(properties));
  const ledgers = properties.ledger?.anyOf.map((ledger) => ledger.properties) ?? [];
  for (const member of ['archive', 'roll', 'follow', 'confirm']) {
    const [, named = ''] = new RegExp(`\`${member}: \\{ ([^}]*) \\}\``).exec(page) ?? [];
    const members = ledgers.map((ledger) => ledger[member]?.properties).find((one) => one !== undefined);
    expect([member, named.replaceAll('?', '').split(', ').sort()]).toEqual([member, Object.keys(members ?? {}).sort()]);
  }
});
