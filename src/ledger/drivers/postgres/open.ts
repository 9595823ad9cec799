import { type Deadline, deadlineIn } from '../../../lib/deadline.ts';
import type { ReadRef, Ref } from '../../../lib/ref.ts';
import type { Ledger } from '../../ledger.ts';
import { type Log, openLog } from '../../log/log.ts';
import { shardOrigin } from '../../log-name.ts';
import { StoreFault } from '../../log-store.ts';
import { noteSigner } from '../../tree/note.ts';
import type { LedgerDriverDeps } from '../driver.ts';
import { whyOther } from '../foreign-log.ts';
import type { PostgresLedgerConfig } from '../postgres.ts';
import { type PostgresAddress, readAddress } from './address.ts';
import { type Connection, connectToWrite, type Row, UnfitServer } from './connection.ts';
import { faultOf, stateOf } from './faults.ts';
import { type Connect, type Lane, openLane } from './lane.ts';
import { postgresIndex } from './query-index.ts';
import { sayMissingRights } from './rights.ts';
import { postgresLogStore } from './store.ts';
import { tableNames, tablesVersion } from './tables.ts';

/** Tables that are not this deployment's, or not there; the message says what to do. */
export class ForeignTables extends Error {
  override readonly name = 'ForeignTables';
}

/** How long an opening may take, milliseconds: a store is read, a server far away answers. */
const openMs = 10_000;
/** Connections for reads, beside the one that writes. */
const readers = 2;

/** A log, or as many as the config says, in tables that `hallpass ledger init` made. @throws Error that says what is wrong */
export async function openPostgresLedger(config: PostgresLedgerConfig, deps: LedgerDriverDeps): Promise<Ledger> {
  const { shards = 1 } = config;
  if (shards === 1) return openShard(config, deps, undefined);
  const { openSharded } = await import('../../shards/shards.ts');
  const open = (shard: number, origin: string) => openShard(config, { ...deps, origin }, shard);
  return openSharded({ origin: deps.origin, count: shards, open });
}

/** One log; `deps.origin` is its own. Undefined: the ledger has no other. */
export async function openShard(
  config: PostgresLedgerConfig,
  { platform, origin, writer, secrets, read, gate }: LedgerDriverDeps,
  shard: number | undefined,
): Promise<Log> {
  if (secrets === undefined) throw new Error('a postgres ledger needs a checkpoint key');
  const { now, random, log } = platform;
  const signer = noteSigner(origin, secrets.checkpointKey);
  const address = await addressReader(config.url, read, now);
  const connect: Connect = async (deadline) => connectToWrite(await address.current(deadline), deadline);
  const { schema } = address.first;
  const number = shard ?? 0;
  const writes = openLane(connect, 1, now);
  const reads = openLane(connect, readers, now);
  const store = postgresLogStore({ writes, reads, schema, log: number, now });
  try {
    await checkTables(reads, schema, number, signer.vkey, deadlineIn(openMs, now));
    // A server that cannot say so is not one to be refused for it.
    sayMissingRights(reads, schema, now, log).catch(() => {});
    const held = gate && { gate };
    const opened = await openLog({ store, signer, ...secrets, writer, now, random, log, gather: nextTurn, ...held });
    return { ...opened, index: postgresIndex(reads, schema, number) };
  } catch (error) {
    await store.close();
    throw error;
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Where the database is, asked for again at each connection: its password may have changed. @throws BadAddress, Refusal */
export async function addressReader(ref: Ref, read: ReadRef | undefined, now: () => number) {
  if (read === undefined) throw new Error('a postgres ledger needs a store that holds its url');
  let known: PostgresAddress | undefined;
  const current = async (deadline = deadlineIn(openMs, now)): Promise<PostgresAddress> => {
    try {
      const { value } = await read(ref, deadline);
      known = readAddress(value.revealText());
    } catch (error) {
      // A store that is down for a while does not take the ledger with it.
      if (known === undefined) throw error;
    }
    return known;
  };
  return { first: await current(), current };
}

/** Runs on one connection and closes it. @throws Error whose message is for the operator */
export async function once<T>(connect: Connect, ms: number, now: () => number, work: (c: Connection) => Promise<T>) {
  const deadline = deadlineIn(ms, now);
  let connection: Connection | undefined;
  try {
    connection = await connect(deadline);
    return await work(connection);
  } catch (error) {
    throw explained(error);
  } finally {
    connection?.close();
  }
}

/** What an operator is told who starts a server or a command. */
function explained(error: unknown): unknown {
  const fault = error instanceof Error && error.cause instanceof UnfitServer ? error.cause : error;
  if (fault instanceof UnfitServer || fault instanceof ForeignTables) return fault;
  const known = faultOf(fault);
  if (!(known instanceof StoreFault)) return known;
  if (known.reason === 'tables_missing') return new ForeignTables(notMade);
  if (known.reason === 'denied') return new ForeignTables(stateOf(known.cause) === '42501' ? noRight : noLogin);
  return known;
}

const notMade = 'the database has no tables of a ledger: run hallpass ledger init';
const noRight = "the ledger's database role lacks a right: see docs/ledger.md, or run hallpass ledger init";
const noLogin = 'the database refused the login in ledger.url';

async function checkTables(lane: Lane, schema: string, log: number, vkey: string, deadline: Deadline): Promise<void> {
  const [row] = await lane.run(stateQuery(schema), [log], deadline).catch((error) => {
    throw explained(error);
  });
  const fault = tablesFault(row, vkey);
  if (fault !== undefined) throw new ForeignTables(fault);
}

/** Bits of a trigger's type: for each row; before it is written, or in its place; as it is added. */
const type = { row: 1, changing: 2 | 64, insert: 4 } as const;
/** Rows that are added, and never changed or removed: a trigger may well keep others from doing so. */
const addedOnly = ['made', 'entries', 'checkpoints', 'subtrees', 'ended', 'spent', 'seen'];

const stateQuery = (schema: string) => {
  const listed = (names: readonly string[]) => names.map((name) => `'${name}'`).join();
  const is = (bits: number) => `t.tgtype::integer & ${bits} <> 0`;
  const ours = `pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    AND n.nspname = '${schema}' AND c.relname IN (${listed(tableNames())})`;
  return {
    text: `SELECT m.version, h.vkey,
        (SELECT count(*) FROM ${ours} WHERE c.relkind = 'r' AND c.relpersistence <> 'p') AS unlogged,
        (SELECT count(*) FROM pg_catalog.pg_trigger t JOIN (${ours}) ON c.oid = t.tgrelid
          WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND ${is(type.row)} AND ${is(type.changing)}
            AND (${is(type.insert)} OR c.relname NOT IN (${listed(addedOnly)}))) AS altering
      FROM ${schema}.made m LEFT JOIN ${schema}.head h ON h.log = $1`,
  };
};

function tablesFault(row: Row | undefined, vkey: string): string | undefined {
  if (row === undefined) return notMade;
  const {
    version,
    unlogged,
    altering,
    vkey: made,
  } = row as {
    [name in 'version' | 'unlogged' | 'altering']: number;
  } & { vkey: string | null };
  if (version < tablesVersion) return "the ledger's tables are of an earlier version: run hallpass ledger init";
  if (version > tablesVersion) return "the ledger's tables are of a later version of Hallpass";
  if (unlogged > 0) return "some of the ledger's tables are UNLOGGED: a crash would empty them";
  if (altering > 0) return "some of the ledger's tables have a trigger that may change what is written: drop it";
  if (made === null) return 'the tables have no such log: run hallpass ledger init (is ledger.shards another number?)';
  if (made !== vkey) return `the tables hold a log of another origin or key: ${whyOther(made, vkey)}`;
  return undefined;
}

/** The number and origin of each log of a ledger. */
export const logsOf = ({ shards = 1 }: PostgresLedgerConfig, origin: string): { log: number; origin: string }[] =>
  shards === 1
    ? [{ log: 0, origin }]
    : Array.from({ length: shards }, (_, shard) => ({ log: shard, origin: shardOrigin(origin, shard) }));
