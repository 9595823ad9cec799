import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Entry, faultsOf } from '../contracts/kind.ts';

const folder = new URL('../../docs/credentials/', import.meta.url);

/** Every config entry that a page shows under `credentials:`. */
function entriesIn(page: string): [string, Entry][] {
  const text = readFileSync(new URL(page, folder), 'utf8');
  return [...text.matchAll(/```yaml\n(credentials:\n[\s\S]*?)```/g)].flatMap(([, block]) => {
    const { credentials } = parse(block as string) as { readonly credentials: Readonly<Record<string, Entry>> };
    return Object.entries(credentials);
  });
}

const pages = readdirSync(folder).map((page) => [page, entriesIn(page)] as const);

describe('the pages of docs/credentials', () => {
  it('show entries', () => {
    expect(pages.flatMap(([, entries]) => entries).length).toBeGreaterThan(5);
  });

  it.each(pages)('%s shows what a config may have', (_, entries) => {
    for (const [name, entry] of entries) {
      // A key or certificate is cut short.
      const cut = Object.keys(entry).filter((member) => String(entry[member]).includes('...'));
      const faults = faultsOf(entry).filter((fault) => !cut.some((member) => fault.startsWith(`${member}: `)));
      expect(faults, name).toEqual([]);
    }
  });
});
