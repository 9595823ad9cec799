import { randomBytes } from 'node:crypto';
import type { InspectDeps } from '../../src/ledger/drivers/driver.ts';
import { nodeIo } from '../../src/lib/node-io.ts';

/** What a ledger in this folder is opened for reading with; nothing is read from a store. */
export const inspectDeps = (folder: string): InspectDeps => ({
  platform: { ...nodeIo(folder), folder, now: Date.now, random: (bytes) => randomBytes(bytes), env: {}, log: () => {} },
  read: () => Promise.reject(new Error('no stores')),
});
