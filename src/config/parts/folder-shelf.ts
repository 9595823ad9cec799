import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Shelf, ShelfTaken } from '../../ledger/going-on/archive.ts';
import { equalBytes } from '../../lib/bytes.ts';
import { codeOf, createFile, syncFolder } from '../../lib/durable-file.ts';
import { UpstreamError } from '../../lib/upstream.ts';

/** What is archived is public, or guarded by the folder. */
const mode = 0o644;

/**
 * A folder as a shelf: each file is synced before it takes its name, and never takes that of another. The folder is made where
 * the one above it is there: a disk that is not mounted is not filled up underneath.
 */
export function folderShelf(folder: string, random: (bytes: number) => Uint8Array): Shelf {
  /** Folders that are durable in the one above: who made them may have been killed before. */
  const settled = new Set<string>();
  async function settle(at: string): Promise<void> {
    if (settled.has(at)) return;
    if (at !== folder) await settle(dirname(at));
    await syncFolder(dirname(at)).catch((error) => {
      // One that others made may lie where we may not look.
      if (at !== folder || codeOf(error) !== 'EACCES') throw error;
    });
    settled.add(at);
  }

  async function put(path: string, bytes: Uint8Array): Promise<void> {
    const target = join(folder, path);
    await putFile(path, target, bytes);
    await settle(dirname(target));
  }

  async function putFile(path: string, target: string, bytes: Uint8Array): Promise<void> {
    const there = await readFile(target).catch(unlessAbsent);
    if (there === undefined) {
      await mkdir(folder).catch(unlessThere);
      if ((await mkdir(dirname(target), { recursive: true })) !== undefined) settled.clear();
      if (await createFile(target, bytes, random, mode)) return;
    }
    if (!equalBytes(there ?? (await readFile(target)), bytes)) throw new ShelfTaken(path);
    await syncFolder(dirname(target));
  }

  async function has(path: string, bytes: Uint8Array): Promise<boolean> {
    const there = await readFile(join(folder, path)).catch(unlessAbsent);
    return there !== undefined && equalBytes(there, bytes);
  }

  return {
    name: folder,
    put: (path, bytes) => put(path, bytes).catch(told),
    has: (path, bytes) => has(path, bytes).catch(told),
  };
}

function unlessAbsent(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}

function unlessThere(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error;
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'no_folder',
  ENOTDIR: 'no_folder',
  ENOSPC: 'disk_full',
  EACCES: 'not_writable',
  EROFS: 'not_writable',
};

function told(cause: unknown): never {
  if (cause instanceof ShelfTaken) throw cause;
  throw new UpstreamError('unreachable', {
    step: 'archive',
    reason: reasons[codeOf(cause) ?? ''] ?? 'file_failed',
    cause,
  });
}
