import { mkdir, open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Shelf } from '../ledger/archive.ts';

/** A folder as a shelf: each file is synced under another name before it takes its own. */
export function folderShelf(folder: string): Shelf {
  return {
    async put(path, bytes) {
      const target = join(folder, path);
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
