import type { Runtime } from '../lib/platform.ts';

/** The form of the local signer that needs a file system; builds for other runtimes leave its code out. */
export const localFolder: {
  readonly runtimes: readonly Runtime[];
  load(): Promise<typeof import('./key-folder.ts')>;
} = {
  runtimes: ['node'],
  load: () => import('./key-folder.ts'),
};
