import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');

export interface Source {
  /** From the repository's root. */
  readonly path: string;
  readonly text: string;
}

/** Every TypeScript file below these folders. */
export async function sourcesIn(...folders: readonly string[]): Promise<Source[]> {
  const found: Source[] = [];
  for (const folder of folders) {
    for (const entry of await readdir(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      const path = relative(root, join(entry.parentPath, entry.name));
      found.push({ path, text: await readFile(join(root, path), 'utf8') });
    }
  }
  return found;
}

const imported = /(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g;

/** What a file imports, types too: paths from the root for our own files, names for packages. */
export function importsOf({ path, text }: Source): string[] {
  return [...text.matchAll(imported)].map(([, name]) =>
    name?.startsWith('.') ? relative(root, resolve(root, dirname(path), name)) : (name as string),
  );
}
