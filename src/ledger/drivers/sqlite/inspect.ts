import { resolve } from 'node:path';
import type { Inspection } from '../../driver.ts';
import { sqlVerifySource } from '../../verify-source.ts';
import { openDatabase, openFileToRead, readsOf } from './file.ts';
import type { SqliteLedgerConfig } from './open.ts';

/** Opens the file for reading only; a server may go on writing it. @throws ForeignFile, StoreFault */
export async function inspectSqliteLedger(config: SqliteLedgerConfig, folder: string): Promise<Inspection> {
  const connection = openFileToRead(resolve(folder, config.path), openDatabase);
  return {
    source: sqlVerifySource(readsOf(() => connection)),
    async close() {
      connection.close();
    },
  };
}
