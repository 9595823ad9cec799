import { join } from 'node:path';
import { type FakeKind, fakeShelves, someValue } from '../fakes/shelves.ts';
import { runCli, writeConfig } from '../support/server.ts';
import type { StoreRow } from './store-table.ts';

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

/** A store of a cloud's kind at a fake that verifies the assertion against the keys this Hallpass publishes. */
const atFake = (kind: FakeKind): StoreRow => ({
  kind,
  async open({ issuer, subject }) {
    const { entry, secret, close } = await fakeShelves[kind]({ issuer, subject });
    return { entry: entry(), secret, session: true, close };
  },
});

/** The stores that npm alone can bring. */
export const storeRows: readonly StoreRow[] = [
  local,
  env,
  ...(['aws-secrets-manager', 'azure-key-vault', 'google-secret-manager'] as const).map(atFake),
];
