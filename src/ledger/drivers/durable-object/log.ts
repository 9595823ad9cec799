import { type Log, openLog } from '../../log/log.ts';
import { withIndex } from '../../questions/with-index.ts';
import { sqlLogStore } from '../../sql/log-store.ts';
import type { SqlStatement } from '../../sql/sql.ts';
import { firstHead, logSchema, logUpgrade1, logUpgrade2, storedKey } from '../../sql/tables.ts';
import { noteSigner } from '../../tree/note.ts';
import type { LedgerDriverDeps } from '../driver.ts';
import { whyOther } from '../foreign-log.ts';
import { objectIndex } from './index-sql.ts';
import { objectSql } from './sql.ts';
import type { ObjectStorage } from './storage.ts';

/**
 * Opens the log in the object's storage, and makes it when there is none.
 *
 * @throws Error for the log of another origin or key, DamagedLog, StoreFault
 */
export async function openObjectLedger(storage: ObjectStorage, deps: LedgerDriverDeps): Promise<Log> {
  const { platform, origin, writer, secrets } = deps;
  if (secrets === undefined) throw new Error('a durable-object ledger needs a checkpoint key');
  const { now, random, log } = platform;
  const sql = objectSql(storage);
  const signer = noteSigner(origin, secrets.checkpointKey);
  const { vkey } = signer;
  makeTables(storage, vkey);
  const made = storedKey(sql);
  if (made !== vkey) throw new Error(`the object holds a log of another origin or key: ${whyOther(made, vkey)}`);
  const opened = await openLog({ store: sqlLogStore(sql), signer, ...secrets, writer, now, random, log });
  return withIndex(opened, objectIndex(storage, sql));
}

function makeTables(storage: ObjectStorage, vkey: string): void {
  storage.transactionSync(() => {
    const has = (table: string) =>
      storage.sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", table).toArray().length > 0;
    if (has('head')) {
      if (!has('unrevoked')) for (const sql of logUpgrade1) storage.sql.exec(sql);
      if (!has('texts')) for (const sql of logUpgrade2) storage.sql.exec(sql);
      return;
    }
    const tables: SqlStatement[] = [...logSchema.map((sql) => ({ sql, rows: [[]] })), firstHead(vkey)];
    for (const { sql, rows } of tables) for (const row of rows) storage.sql.exec(sql, ...row);
  });
}
