import { randomBytes } from 'node:crypto';
import { nodeIo } from '../../src/lib/node-io.ts';
import type { StoresDeps } from '../../src/stores/open.ts';

/** What stores need of the world: this process's clock, network and files, no environment, nobody who signs. */
export function storesDeps(own: Partial<StoresDeps> = {}): StoresDeps {
  return {
    runtime: 'node',
    now: Date.now,
    random: randomBytes,
    env: {},
    log: () => {},
    storeMs: 5_000,
    ...nodeIo(own.folder ?? '.'),
    ...own,
  };
}
