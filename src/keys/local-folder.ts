import type { Runtime } from '../lib/platform.ts';

/** What of signers needs a file system; builds for other runtimes leave its code out. */
export const localFolder: {
  readonly runtimes: readonly Runtime[];
  load(): Promise<typeof import('./files.ts')>;
} = {
  runtimes: ['node', 'lambda'],
  load: () => import('./files.ts'),
};
