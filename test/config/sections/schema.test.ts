import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { fromJSONSchema } from 'zod';
import { configJsonSchema } from '../../../src/config/sections/schema.ts';
import { sectionNames } from '../../../src/config/sections/sections.ts';

// Read back as an editor would read it.
const asWritten = fromJSONSchema(configJsonSchema() as Parameters<typeof fromJSONSchema>[0]);
const issuesOf = (value: unknown) => asWritten.safeParse(value).error?.issues ?? [];
const example = (name: string) =>
  parse(readFileSync(new URL(`../../../examples/${name}.hallpass.yaml`, import.meta.url), 'utf8'));

describe('configJsonSchema', () => {
  it('is a 2020-12 schema that names every section', () => {
    const schema = configJsonSchema() as { $schema: string; properties: object };
    expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
    expect(Object.keys(schema.properties).sort()).toEqual([...sectionNames].sort());
  });

  it.each(['node', 'ledger', 'edge', 'worker'])('accepts the example %s', (name) => {
    expect(issuesOf(example(name))).toEqual([]);
  });

  it.each([
    ['an unknown section', { alarms: {} }],
    ['an unknown kind', { stores: { a: { kind: 'nothing' } } }],
    ['an unknown member', { credentials: { a: { kind: 'secret', store: 's', name: 'n', nme: 'x' } } }],
    ['a number for a duration', { credentials: { a: { kind: 'jwt', audience: 'x', ttl: 15 } } }],
  ])('refuses %s', (_, part) => {
    expect(issuesOf({ ...example('node'), ...part })).not.toEqual([]);
  });
});
