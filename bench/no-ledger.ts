import type { LedgerDriverModule } from '../src/ledger/drivers/driver.ts';
import { ledgerDrivers } from '../src/ledger/index.ts';
import type { Ledger, Receipt } from '../src/ledger/ledger.ts';
import type { PlugIn } from '../src/lib/catalog.ts';
import * as s from '../src/lib/schema/index.ts';

const proof = `c2sp.org/tlog-proof@v1\nindex 1\n${'A'.repeat(560)}`;

/** A ledger that keeps nothing: what an issuance costs without one. It is in no catalog but the bench's. */
const none: Ledger = {
  origin: 'none',
  append: async ({ entries }) => ({
    receipts: entries.map(
      ({ record, disclosure }): Receipt => ({
        log: 'none',
        index: 1,
        record,
        ...(disclosure !== null && { disclosure }),
        proof,
      }),
    ),
    minted: entries.map(() => null),
  }),
  issuance: async () => [],
  pending: async () => [],
  key: async () => 'none',
  ready: async () => {},
  keys: async () => ({ assertions: [] }),
  // Records that keys began are kept nowhere either.
  ownKeys: { list: async () => [], record: async () => {} },
  close: async () => {},
};

const plugIn: PlugIn<LedgerDriverModule, 'none'> = {
  name: 'none',
  about: 'nothing',
  schema: s.strictObject({ kind: s.literal('none') }),
  runtimes: ['node'],
  load: async () => ({ open: async () => none }),
};

export function addNoLedger(): void {
  (ledgerDrivers as PlugIn<LedgerDriverModule>[]).push(plugIn);
}
