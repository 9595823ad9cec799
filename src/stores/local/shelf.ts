import { open, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256, toHex } from '../../lib/bytes.ts';
import { codeOf, createFile, makeFolder, syncFolder } from '../../lib/durable-file.ts';
import { maxHeaderBytes } from './sealed.ts';

/**
 * The files of one secret: `1`, `2`, ... and, after a removal, `removed-N`: versions up to N are gone, and their numbers
 * are never given again.
 */
export interface Shelf {
  /** Numbers of the versions there are, oldest first; empty when there is none or never was. */
  versions(): Promise<number[]>;
  read(version: number): Promise<Uint8Array>;
  readStart(version: number): Promise<Uint8Array>;
  /** Writes the next version; two processes at once get two versions. */
  add(write: (version: number) => Uint8Array): Promise<number>;
  /** Removes all versions; false when there was none. */
  clear(): Promise<boolean>;
}

/** Bounds the race for a version number. */
const maxTries = 1000;

/** The folder of a secret: a digest, so that no name is ever a path. */
export const shelfName = (name: string): string => toHex(sha256(name));

export const isShelfName = (name: string): boolean => /^[0-9a-f]{64}$/.test(name);

export function openShelf(folder: string, random: (bytes: number) => Uint8Array): Shelf {
  /** `gone` is what a removal left when it was cut short: files of versions that are no more. */
  async function look(): Promise<{ versions: number[]; removed: number; gone: string[] }> {
    const names = await readdir(folder).catch((error) => {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    });
    const removed = Math.max(0, ...names.map((name) => numberIn(name, 'removed-')));
    const versions = names.map((name) => numberIn(name, '')).filter((version) => version > removed);
    const isGone = (number: number, last: number) => number > 0 && number <= last;
    const gone = names.filter(
      (name) => isGone(numberIn(name, ''), removed) || isGone(numberIn(name, 'removed-'), removed - 1),
    );
    return { versions: versions.sort((a, b) => a - b), removed, gone };
  }

  const fileOf = (version: number) => join(folder, String(version));

  return {
    versions: async () => (await look()).versions,
    read: (version) => readFile(fileOf(version)),
    async readStart(version) {
      const file = await open(fileOf(version), 'r');
      try {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(maxHeaderBytes), 0, maxHeaderBytes, 0);
        return buffer.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    },
    async add(write) {
      await makeFolder(folder);
      for (let tries = 0; tries < maxTries; tries++) {
        const { versions, removed } = await look();
        const version = Math.max(removed, versions.at(-1) ?? 0) + 1;
        if (!(await createFile(fileOf(version), write(version), random))) continue;
        // A removal may have taken this very number while the file was on its way: then it is gone, and comes again.
        if ((await look()).removed < version) return version;
        await unlink(fileOf(version)).catch(() => {});
      }
      throw new Error('no version number to be had');
    },
    async clear() {
      const { versions } = await look();
      const last = versions.at(-1);
      // The mark is the removal; what follows is sweeping up, and is done again by the next removal.
      if (last !== undefined) await createFile(join(folder, `removed-${last}`), new Uint8Array(0), random);
      const { gone } = await look();
      for (const name of gone) await unlink(join(folder, name)).catch(() => {});
      if (gone.length > 0) await syncFolder(folder);
      if (last === undefined) return false;
      return true;
    },
  };
}

function numberIn(name: string, prefix: string): number {
  const digits = name.startsWith(prefix) ? name.slice(prefix.length) : '';
  return /^[1-9][0-9]{0,14}$/.test(digits) ? Number(digits) : 0;
}
