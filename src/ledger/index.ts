import type { PlugIn } from '../lib/catalog.ts';
import type { LedgerDriverModule } from './driver.ts';
import { sqliteLedger } from './drivers/sqlite.ts';

/** Every ledger driver there is. */
export const ledgerDrivers: readonly PlugIn<LedgerDriverModule>[] = [sqliteLedger];
