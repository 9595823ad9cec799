import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Shelf, ShelfTaken } from '../ledger/archive.ts';
import { equalBytes } from '../lib/bytes.ts';

/** A folder as a shelf: each file is synced under another name before it takes its own. */
export function folderShelf(folder: string): Shelf {
  return {
    name: folder,
    async put(path, bytes) {
      const target = join(folder, path);
      const there = await readFile(target).catch(unlessAbsent);
      if (there !== undefined) {
        if (equalBytes(there, bytes)) return;
        throw new ShelfTaken(path);
      }
      await mkdir(dirname(target), { recursive: true });
      const file = await open(`${target}.new`, 'w', 0o644);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${target}.new`, target);
    },
  };
}

function unlessAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
