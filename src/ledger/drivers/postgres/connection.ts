import { Socket } from 'node:net';
import pg from 'pg';
import { before, type Deadline } from '../../../lib/deadline.ts';
import { StoreFault } from '../../log-store.ts';
import type { PostgresAddress } from './address.ts';

/** A named one is parsed once per connection. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
}

export interface Request {
  readonly statement: Statement;
  readonly params?: readonly Param[];
}

export type Param =
  | string
  | number
  | boolean
  | null
  | Uint8Array
  | readonly (string | number | boolean | null | Uint8Array)[];
export type Row = Readonly<Record<string, unknown>>;

export interface Connection {
  /**
   * Statements in one round trip, each its own transaction where none is open; the rows of each. What outlasts the deadline
   * is cut off. Rejects with StoreFault or what the driver throws for the first that failed.
   */
  run(requests: readonly Request[], deadline: Deadline): Promise<readonly (readonly Row[])[]>;
  /** Several without parameters, in one transaction and one round trip; rows of the last. */
  script(sql: string, deadline: Deadline): Promise<readonly Row[]>;
  isOver(): boolean;
  /** Says goodbye; what does not answer is cut off. */
  close(): void;
  cut(): void;
}

/** A server that may lose what it has acknowledged; the message says why. */
export class UnfitServer extends Error {
  override readonly name = 'UnfitServer';
}

const goodbyeMs = 1_000;
/** The server itself gives up what takes longer: what was cut off here does not wait there for ever. */
const serverMs = 6_000;

/** A broker that stands still in its turn holds up the others for so long at most. */
const idleMs = 1_000;

const int8 = 20;
const types = {
  // Positions and milliseconds: far below 2 ** 53.
  getTypeParser: (oid: number, format: 'text' | 'binary') =>
    oid === int8 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format as 'text'),
} as unknown as pg.CustomTypesConfig;

/** Connects. @throws StoreFault timeout when the deadline passes, and what the driver throws */
export async function connect(address: PostgresAddress, deadline: Deadline): Promise<Connection> {
  const { host, port, database, user, password, tls } = address;
  const socket = new Socket();
  const client = new pg.Client({
    host,
    port,
    database,
    user,
    // Said in full: what is left out, or empty, the driver takes from the environment, and a password from a file.
    password: () => password,
    stream: () => socket,
    ssl: tls ? { rejectUnauthorized: true, host } : false,
    sslnegotiation: 'postgres',
    application_name: 'hallpass ledger',
    keepAlive: true,
    pipeline: true,
    types,
  });
  const { connectionParameters } = client as unknown as { connectionParameters: object };
  Object.assign(connectionParameters, { options: '', replication: '' });
  let over = false;
  // An error between two queries is met by the next query; without a listener it would end the process.
  for (const event of ['error', 'end'] as const)
    client.on(event, () => {
      over = true;
    });

  // A wait for the standbys that somebody cancelled ends as a commit like any other, but for this notice.
  let unconfirmed = false;
  client.on('notice', ({ routine = '' }) => {
    unconfirmed ||= routine.startsWith('SyncRep');
  });

  async function timed<T>(deadline: Deadline, work: () => Promise<T>): Promise<T> {
    try {
      const result = await before(deadline, () => new StoreFault('timeout'), work);
      if (unconfirmed) throw new StoreFault('not_durable');
      return result;
    } catch (error) {
      if (error instanceof StoreFault) socket.destroy();
      throw error;
    }
  }

  await timed(deadline, () => client.connect()).catch((error) => {
    socket.destroy();
    throw error;
  });
  return {
    run: (requests, deadline) =>
      timed(deadline, () =>
        Promise.all(
          requests.map(async ({ statement, params }) => {
            const query = params === undefined ? statement : { ...statement, values: params as unknown[] };
            return kept(await client.query<Row>(query)).rows;
          }),
        ),
      ),
    script: (sql, deadline) =>
      timed(deadline, async () => {
        // The driver's types know of one statement only.
        const results: unknown = await client.query<Row>(sql);
        const all = (Array.isArray(results) ? results : [results]) as pg.QueryResult<Row>[];
        return all.map(kept).at(-1)?.rows as Row[];
      }),
    isOver: () => over || socket.destroyed || socket.readableEnded,
    close() {
      void client.end().catch(() => {});
      socket.setTimeout(goodbyeMs, () => socket.destroy());
    },
    cut: () => void socket.destroy(),
  };
}

/** A COMMIT of what had failed is answered with ROLLBACK, and no error. @throws StoreFault rolled_back */
function kept(result: pg.QueryResult<Row>): pg.QueryResult<Row> {
  if (result.command === 'ROLLBACK') throw new StoreFault('rolled_back');
  return result;
}

/** Settings, where the server knows them. */
const given = (wanted: Readonly<Record<string, string>>): string =>
  `SELECT set_config(s.name, w.wanted, false) FROM pg_catalog.pg_settings s JOIN (VALUES
     ${Object.entries(wanted).map(([name, value]) => `('${name}', '${value}')`)}) AS w(name, wanted) ON w.name = s.name;`;

/** A policy that would leave out rows is an error. */
const hidesNothing = { row_security: 'off' };
const waits = { lock_timeout: '0', transaction_timeout: '0' };
const plans = { enable_seqscan: 'off', jit: 'off' };

/**
 * What every connection of a log begins with. A commit is durable before it is answered, whatever the database or the
 * role says; nothing made in this database answers to a name of PostgreSQL's own (CVE-2018-1058); a null is stored as one;
 * a policy that would hide rows, such as those of a lockdown, is an error instead; that a wait for a standby was ended is
 * said; and small tables are read by their indexes, as they will be large before anybody has counted them.
 */
const settings = `
  SET synchronous_commit = on;
  SET client_min_messages = warning;
  SET statement_timeout = ${serverMs};
  SET idle_in_transaction_session_timeout = ${idleMs};
  SET search_path = pg_catalog;
  SET default_transaction_isolation = 'read committed';
  ${given({ array_nulls: 'on', ...hidesNothing, ...waits, ...plans })}`;

/** Aurora's storage writes whole pages by itself. */
const facts = `
  SELECT current_setting('fsync', true) AS fsync, current_setting('full_page_writes', true) AS pages,
         current_setting('synchronous_commit', true) AS commits, current_setting('server_encoding', true) AS encoding,
         to_regproc('pg_catalog.aurora_version') IS NOT NULL AS aurora`;

/**
 * Beside what a statement writes: how its session commits, and `off` where the server has ceased to keep what it
 * acknowledges. Behind a pooler it may be another session than was told how, and a server takes its settings at any time.
 */
export const howDurable = `CASE WHEN current_setting('fsync', true) = 'off'
    OR (current_setting('full_page_writes', true) = 'off' AND to_regproc('pg_catalog.aurora_version') IS NULL) THEN 'off'
    ELSE current_setting('synchronous_commit', true) END AS commits`;

/** Only these wait for the disk here and, where there are such, for the standbys; null: the server has no such setting. */
const durable: ReadonlySet<unknown> = new Set(['on', 'remote_apply', null]);

/** @throws StoreFault not_durable */
export function checkDurable({ commits }: Row): void {
  if (!durable.has(commits)) throw new StoreFault('not_durable');
}

/** Connects to a server that keeps what it acknowledges. @throws UnfitServer, and as `connect` does */
export async function connectToWrite(address: PostgresAddress, deadline: Deadline): Promise<Connection> {
  const connection = await connect(address, deadline);
  try {
    const [row = {}] = await connection.script(settings + facts, deadline);
    const unfit = unfitness(row);
    if (unfit !== undefined) throw new UnfitServer(`the ledger's PostgreSQL ${unfit}`);
    return connection;
  } catch (error) {
    connection.cut();
    throw error;
  }
}

/** The same for reading only, from any server: also from a copy that follows another. */
export async function connectToRead(address: PostgresAddress, deadline: Deadline): Promise<Connection> {
  const connection = await connect(address, deadline);
  try {
    await connection.script(
      `SET search_path = pg_catalog; SET default_transaction_read_only = on; SET statement_timeout = 60000; ${given(hidesNothing)}`,
      deadline,
    );
    return connection;
  } catch (error) {
    connection.cut();
    throw error;
  }
}

/** Settings a server does not know are not held against it. */
function unfitness({ fsync, pages, commits = null, encoding, aurora }: Row): string | undefined {
  if (fsync === 'off') return 'has fsync=off: a crash would lose what it acknowledged';
  if (pages === 'off' && aurora !== true) return 'has full_page_writes=off: a crash would tear what it stored';
  if (!durable.has(commits))
    return `keeps synchronous_commit=${commits}, though it was told on: it acknowledges what it may lose`;
  if (typeof encoding === 'string' && !/^utf-?8$/i.test(encoding)) return `has the encoding ${encoding}, not UTF8`;
  return undefined;
}
