import { link, mkdir, open, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { toHex } from './bytes.ts';

/** The folder that something is to be made in is not there. */
export class MissingFolder extends Error {
  override readonly name = 'MissingFolder';
  constructor(folder: string) {
    super(`the folder ${folder} is not there, and is not made: is a disk not mounted?`);
  }
}

/**
 * Makes a folder (0700), durable in its parent, unless it is there. Those above it are not made: one that is gone may
 * be a disk that is not mounted.
 *
 * @throws MissingFolder
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new MissingFolder(dirname(path));
    if (codeOf(error) === 'EEXIST' && (await stat(path)).isDirectory()) return;
    throw error;
  }
  await syncFolder(dirname(path));
}

/**
 * Makes a file (0600 by default) that is whole and durable or not there at all: written beside, synced, then linked under its
 * name. Of two processes one wins. false when the name is taken.
 */
export async function createFile(
  path: string,
  bytes: Uint8Array,
  random: (bytes: number) => Uint8Array,
  mode = 0o600,
): Promise<boolean> {
  const folder = dirname(path);
  const beside = join(folder, `.new-${toHex(random(8))}`);
  try {
    const file = await open(beside, 'wx', mode);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(beside, path);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(beside).catch(() => {});
  }
  await syncFolder(folder);
  return true;
}

/** Makes what was linked into or unlinked from a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The error code of a failed file operation, such as `ENOENT`. */
export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
