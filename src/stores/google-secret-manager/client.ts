import type { Runtime } from '../../lib/platform.ts';

/** Google's own client, where it can run; builds for other runtimes leave it out and call the REST API. */
export const googleClient: {
  readonly runtimes: readonly Runtime[];
  load(): Promise<typeof import('./sdk.ts')>;
} = {
  runtimes: ['node', 'lambda'],
  load: () => import('./sdk.ts'),
};
