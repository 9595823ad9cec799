import { link, mkdir, open, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { toHex } from './bytes.ts';

/** Makes a folder (0700) with those above it, each durable in its parent. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = path; ; made = dirname(made)) {
    await syncFolder(dirname(made));
    if (made === first || dirname(made) === made) return;
  }
}

/**
 * Makes a file (0600) that is whole and durable or not there at all: written beside, synced, then linked under its
 * name. Of two processes one wins. false when the name is taken.
 */
export async function createFile(
  path: string,
  bytes: Uint8Array,
  random: (bytes: number) => Uint8Array,
): Promise<boolean> {
  const folder = dirname(path);
  const beside = join(folder, `.new-${toHex(random(8))}`);
  try {
    const file = await open(beside, 'wx', 0o600);
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
