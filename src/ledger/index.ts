import type { PlugIn } from '../lib/catalog.ts';
import type { LedgerDriverModule } from './drivers/driver.ts';
import { durableObjectLedger } from './drivers/durable-object.ts';
import { dynamodbLedger } from './drivers/dynamodb.ts';
import { httpLedger } from './drivers/http.ts';
import { postgresLedger } from './drivers/postgres.ts';
import { sqliteLedger } from './drivers/sqlite.ts';

/** Every ledger driver there is. */
export const ledgerDrivers: readonly PlugIn<LedgerDriverModule>[] = [
  sqliteLedger,
  postgresLedger,
  dynamodbLedger,
  durableObjectLedger,
  httpLedger,
];
