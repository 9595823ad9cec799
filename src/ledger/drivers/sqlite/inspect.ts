import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sqlVerifySource } from '../../verify/source.ts';
import type { Inspection } from '../driver.ts';
import { openDatabase, openFileToRead, readsOf } from './file.ts';
import { inspectIndex } from './index-inspect.ts';
import type { SqliteLedgerConfig } from './open.ts';
import { openVerifyThreads } from './verify-threads.ts';
import { fileOddities } from './whole-file.ts';

/**
 * Opens the file for reading only; a server may go on writing it. `workerUrl`: the bundled verify-worker, which lies beside
 * the bundle; without it, as in the sources, all is read on this thread. @throws ForeignFile, StoreFault
 */
export async function inspectSqliteLedger(
  config: SqliteLedgerConfig,
  folder: string,
  workerUrl: URL = new URL('./verify-worker.mjs', import.meta.url),
): Promise<Inspection> {
  const path = resolve(folder, config.path);
  const connection = openFileToRead(path, openDatabase);
  const reads = readsOf(() => connection);
  const tables = sqlVerifySource(reads);
  const oddities = async () => [...((await tables.tables?.oddities?.()) ?? []), ...reads.read(fileOddities)];
  const { index, close: closeIndex } = inspectIndex(`${path}.index`);
  const source = { ...tables, index, ...(tables.tables && { tables: { ...tables.tables, oddities } }) };
  const threads = existsSync(fileURLToPath(workerUrl)) ? openVerifyThreads(path, workerUrl) : undefined;
  return {
    source: threads === undefined ? source : { ...source, pages: threads },
    async close() {
      await threads?.close();
      closeIndex();
      connection.close();
    },
  };
}
