import { toHex } from '../../../lib/bytes.ts';
import { deadlineIn } from '../../../lib/deadline.ts';
import { emptyRoot } from '../../tree/merkle.ts';
import { noteSigner } from '../../tree/note.ts';
import type { LedgerDriverDeps } from '../driver.ts';
import { whyOther } from '../foreign-log.ts';
import type { PostgresLedgerConfig } from '../postgres.ts';
import { type Connection, connectToWrite, type Row } from './connection.ts';
import { addressReader, ForeignTables, logsOf, once } from './open.ts';
import { tablesOf, tablesVersion } from './tables.ts';

/** Tables may be made while others use the database, milliseconds. */
const initMs = 60_000;

/**
 * Makes the tables and the first heads of a ledger's logs, in one transaction: there is all of it or nothing. Needs the
 * right to make a schema, or to make tables in the one that is there.
 *
 * @throws Error that says what is wrong
 */
export async function initPostgresLedger(
  config: PostgresLedgerConfig,
  { platform: { now }, origin, secrets, read }: LedgerDriverDeps,
): Promise<'made' | 'upgraded' | 'there'> {
  if (secrets === undefined) throw new Error('a postgres ledger needs a checkpoint key');
  const { checkpointKey } = secrets;
  const address = await addressReader(config.url, read, now);
  const { schema } = address.first;
  const logs = logsOf(config, origin).map(({ log, origin: own }) => ({
    log,
    vkey: noteSigner(own, checkpointKey).vkey,
  }));
  const make = () =>
    once(
      async (deadline) => connectToWrite(await address.current(deadline), deadline),
      initMs,
      now,
      async (connection) => {
        const run: Run = async (text, params = []) => {
          const [rows] = await connection.run([{ statement: { text }, params }], deadlineIn(initMs, now));
          return rows as readonly Row[];
        };
        await run('SET statement_timeout = 0');
        return inTransaction(connection, now, async () => {
          const was = await madeBefore(run, schema);
          if (was === undefined) await makeTables(run, schema);
          else if (was > tablesVersion)
            throw new ForeignTables("the ledger's tables are of a later version of Hallpass");
          const heads = await run(`SELECT log, vkey FROM ${schema}.head ORDER BY log`);
          const missing = logs.filter(({ log }) => !heads.some((head) => head.log === log));
          checkHeads(heads, logs, missing.length);
          for (const { log, vkey } of missing) await run(firstHead(schema), [log, vkey]);
          return was === undefined ? ('made' as const) : ('there' as const);
        });
      },
    );
  // Another process may be making them at the same time: what it made is there by then.
  return make().catch((error) => {
    if (!isMadeTwice(error)) throw error;
    return make();
  });
}

/** unique_violation, duplicate_schema, duplicate_table. */
const isMadeTwice = (error: unknown): boolean =>
  /^sqlstate_(23505|42P06|42P07)$/.test((error as { reason?: string }).reason ?? '');

type Run = (text: string, params?: (string | number)[]) => Promise<readonly Row[]>;

async function inTransaction<T>(connection: Connection, now: () => number, work: () => Promise<T>): Promise<T> {
  const deadline = deadlineIn(initMs, now);
  await connection.script('BEGIN', deadline);
  const result = await work();
  await connection.script('COMMIT', deadline);
  return result;
}

/** The version of the tables that are there; undefined where there are none. @throws ForeignTables */
async function madeBefore(run: Run, schema: string): Promise<number | undefined> {
  const tables = await run('SELECT tablename AS name FROM pg_catalog.pg_tables WHERE schemaname = $1', [schema]);
  if (tables.length === 0) return undefined;
  if (!tables.some(({ name }) => name === 'made'))
    throw new ForeignTables(`the schema ${schema} has tables of something else: name another one with ?schema=`);
  return (await run(`SELECT version FROM ${schema}.made`))[0]?.version as number;
}

async function makeTables(run: Run, schema: string): Promise<void> {
  const [row] = await run('SELECT version() AS version');
  const there = await run('SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1', [schema]);
  // Where the schema is there, no right to make one is needed.
  if (there.length === 0) await run(`CREATE SCHEMA ${schema}`);
  for (const sql of tablesOf(schema, /CockroachDB/.test(String(row?.version)))) await run(sql);
  await run(`INSERT INTO ${schema}.made VALUES (1, $1)`, [tablesVersion]);
}

/** A ledger's logs are all of one key, and of one number of shards for as long as it lives. */
function checkHeads(heads: readonly Row[], logs: readonly { log: number; vkey: string }[], missing: number): void {
  for (const { log, vkey } of heads) {
    const ours = logs.find((one) => one.log === log);
    if (ours === undefined)
      throw new ForeignTables(`the tables hold more logs than ledger.shards says (${heads.length})`);
    if (ours.vkey !== vkey)
      throw new ForeignTables(`the tables hold a log of another origin or key: ${whyOther(vkey as string, ours.vkey)}`);
  }
  if (heads.length > 0 && missing > 0)
    throw new ForeignTables(`the tables hold ${heads.length} logs, and ledger.shards says ${logs.length}`);
}

const firstHead = (schema: string): string =>
  `WITH head_in AS (INSERT INTO ${schema}.head VALUES ($1, $2, 1, 0, 0, '', decode('${toHex(emptyRoot)}', 'hex'), 0, ''))
   INSERT INTO ${schema}.index_seen VALUES ($1, 0, 0)`;
