import { setImmediate } from 'node:timers/promises';
import type { Ledger } from '../../ledger.ts';
import { type Log, openLog } from '../../log/log.ts';
import { StoreFault } from '../../log-store.ts';
import { withIndex } from '../../questions/with-index.ts';
import { openSharded } from '../../shards/shards.ts';
import { noteSigner } from '../../tree/note.ts';
import type { LedgerDriverDeps } from '../driver.ts';
import type { DynamoDbLedgerConfig } from '../dynamodb.ts';
import { whyOther } from '../foreign-log.ts';
import { logKeys } from './keys.ts';
import { dynamoLogStore } from './log-store.ts';
import { dynamoQueryIndex } from './query-index.ts';
import { type Row, textOf } from './row.ts';
import { openDynamo, openTable } from './table.ts';
import { schemaNumber } from './writes.ts';

/** The ledger in a table, of one log or of several. @throws Error that says what is wrong with the table */
export function openDynamoDbLedger(config: DynamoDbLedgerConfig, deps: LedgerDriverDeps): Promise<Ledger> {
  const { shards: count = 1 } = config;
  if (count === 1) return openShard(config, deps, undefined);
  const open = (shard: number, origin: string) => openShard(config, { ...deps, origin }, shard);
  return openSharded({ origin: deps.origin, count, open, now: deps.platform.now });
}

/** One log of the table. @throws Error that says what is wrong with it */
export async function openShard(
  config: DynamoDbLedgerConfig,
  deps: LedgerDriverDeps,
  shard: number | undefined,
): Promise<Log> {
  const { platform, origin, secrets, writer } = deps;
  if (secrets === undefined) throw new Error('a dynamodb ledger needs a checkpoint key');
  const { now, random, log } = platform;
  const signer = noteSigner(origin, secrets.checkpointKey);
  const table = openTable(openDynamo(config, platform), config.table, platform);
  const keys = logKeys(shard);
  const head = await table.get(keys.head).catch(unlessMissing);
  if (head === undefined)
    throw new Error(`the table ${config.table} has no ledger of this name: run hallpass ledger init`);
  checkSchema(head, config.table);
  const made = textOf(head.vkey);
  if (made !== signer.vkey)
    throw new Error(
      `the table ${config.table} has the log of ${made.split('+', 1)[0]} under another origin or key: ${whyOther(made, signer.vkey)}`,
    );
  const store = dynamoLogStore(table, keys, now);
  const opened = await openLog({ store, signer, ...secrets, writer, now, random, log, gather: setImmediate });
  return withIndex(opened, dynamoQueryIndex(table, keys));
}

export function unlessMissing(error: unknown): undefined {
  if (error instanceof StoreFault && error.reason === 'table_missing') return undefined;
  throw error;
}

/** @throws Error for items of another version of Hallpass */
export function checkSchema({ schema }: Row, table: string): void {
  if (schema !== schemaNumber) throw new Error(`the table ${table} has the items of another version of Hallpass`);
}
