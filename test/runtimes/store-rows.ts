import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { runCli, writeConfig } from '../support/server.ts';
import type { StoreRow } from './store-table.ts';

/** Obviously not a secret of anybody's, and another one each time. */
export const someValue = (): string => `not-a-real-secret-${randomBytes(6).toString('hex')}`;

const noDisk = 'it has no file system that lasts';
const localEntry = (path: string) => ({ kind: 'local', path });

const local: StoreRow = {
  kind: 'local',
  async open({ folder }) {
    const [entry, value] = [localEntry(join(folder, 'store')), someValue()];
    const config = {
      broker: { url: 'https://pass.test', signer: { kind: 'local', path: 'keys' } },
      ledger: { kind: 'sqlite', path: 'ledger.db' },
      stores: { here: entry },
    };
    const put = runCli(
      ['secret', 'put', 'here', 'stripe', '--config', writeConfig(folder, config, 'put.json')],
      {},
      value,
    );
    if (put.code !== 0) throw new Error(put.stderr);
    return { entry, secret: { name: 'stripe', value }, session: false, close: async () => {} };
  },
  impossible: {
    workerd: { entry: localEntry('store'), problem: 'local runs on node, not on workerd', fact: noDisk },
    lambda: { entry: localEntry('store'), problem: 'local runs on node, not on lambda', fact: noDisk },
  },
};

const env: StoreRow = {
  kind: 'env',
  async open() {
    const value = someValue();
    return {
      entry: { kind: 'env', prefix: 'TEST_SECRET_' },
      secret: { name: 'STRIPE', value },
      variables: { TEST_SECRET_STRIPE: value },
      session: false,
      close: async () => {},
    };
  },
};

/** The stores that npm alone can bring. */
export const storeRows: readonly StoreRow[] = [local, env];
