import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../lib/durable-file.ts';

/** A file of a folder that has generations: `es256.pem` is the first, `es256-2.pem` the second. */
export interface Numbered {
  readonly number: number;
  readonly path: string;
}

/** How a folder and its files are read. */
export interface FolderReads {
  /** A folder that is not there has none. */
  names(folder: string): Promise<readonly string[]>;
  text(path: string): Promise<string>;
}

/** Beside whatever else goes on. */
export const readsBeside: FolderReads = {
  names: (folder) => readdir(folder).catch(noneThere),
  text: (path) => readFile(path, 'utf8'),
};

/** For a start: nothing else goes on, and the trips to other threads take longer than the files. */
export const readsAtOnce: FolderReads = {
  names: async (folder) => {
    try {
      return readdirSync(folder);
    } catch (error) {
      return noneThere(error);
    }
  },
  text: async (path) => readFileSync(path, 'utf8'),
};

function noneThere(error: unknown): readonly string[] {
  if (codeOf(error) === 'ENOENT') return [];
  throw error;
}

/** Those there, newest first. */
export const listNumbered = async (folder: string, stem: string, ending: string): Promise<readonly Numbered[]> =>
  numberedIn(folder, await readsBeside.names(folder), stem, ending);

/** Those of these names in the folder, newest first. */
export function numberedIn(
  folder: string,
  names: readonly string[],
  stem: string,
  ending: string,
): readonly Numbered[] {
  return names
    .map((name) => ({ number: numberOf(name, stem, ending), path: join(folder, name) }))
    .filter(({ number }) => number > 0)
    .sort((a, b) => b.number - a.number);
}

const mostLooks = 5;

/**
 * What `read` makes of the files that `list` gives. Whoever takes one of them away, here or in another process, has put the
 * next one there before: then it is looked again.
 */
export async function readListed<T>(
  list: () => Promise<readonly Numbered[]>,
  read: (files: readonly Numbered[]) => Promise<T>,
): Promise<T> {
  for (let look = 1; ; look++)
    try {
      return await read(await list());
    } catch (error) {
      if (look === mostLooks || codeOf(error) !== 'ENOENT') throw error;
    }
}

export const numberedName = (stem: string, ending: string, number: number): string =>
  number === 1 ? `${stem}${ending}` : `${stem}-${number}${ending}`;

function numberOf(name: string, stem: string, ending: string): number {
  if (name === `${stem}${ending}`) return 1;
  if (!name.startsWith(`${stem}-`) || !name.endsWith(ending)) return 0;
  const digits = name.slice(stem.length + 1, -ending.length);
  const number = /^[1-9]\d{0,5}$/.test(digits) ? Number(digits) : 0;
  return number > 1 ? number : 0;
}
