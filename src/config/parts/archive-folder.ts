import type { Shelf } from '../../ledger/going-on/archive.ts';
import type { Platform } from '../../lib/platform.ts';

export interface FolderPlace {
  /** Its whole path. */
  readonly folder: string;
}

/** A folder is one of Node: what others have is gone with the sandbox. Their builds leave its code out. */
export const folders = {
  runtimes: ['node'],
  async open({ folder }: FolderPlace, { random }: Pick<Platform, 'random'>): Promise<Shelf> {
    const { folderShelf } = await import('./folder-shelf.ts');
    return folderShelf(folder, random);
  },
  /** Relative paths count from the config's folder. */
  async place(to: string, from = '.'): Promise<FolderPlace> {
    const { resolve } = await import('node:path');
    return { folder: resolve(from, to) };
  },
} as const;
