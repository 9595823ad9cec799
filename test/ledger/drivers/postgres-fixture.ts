import pg from 'pg';
import type { InspectDeps, LedgerDriverDeps } from '../../../src/ledger/drivers/driver.ts';
import { readAddress } from '../../../src/ledger/drivers/postgres/address.ts';
import { connectToWrite } from '../../../src/ledger/drivers/postgres/connection.ts';
import { initPostgresLedger } from '../../../src/ledger/drivers/postgres/init.ts';
import { inspectPostgresLedger } from '../../../src/ledger/drivers/postgres/inspect.ts';
import { type Lane, openLane } from '../../../src/ledger/drivers/postgres/lane.ts';
import { openPostgresLedger, openShard } from '../../../src/ledger/drivers/postgres/open.ts';
import type { PostgresLedgerConfig } from '../../../src/ledger/drivers/postgres.ts';
import { emptyRoot } from '../../../src/ledger/tree/merkle.ts';
import { verifyLog } from '../../../src/ledger/verify/verify.ts';
import { toHex } from '../../../src/lib/bytes.ts';
import type { ReadRef } from '../../../src/lib/ref.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { type PostgresPlace, type RealPostgres, startPostgres } from '../../real-servers/postgres.ts';
import { type DriverGiven, driverDeps } from './driver-deps.ts';

export const config: PostgresLedgerConfig = { kind: 'postgres', url: { store: 'vars', name: 'LEDGER' } };

/** A server that keeps what it acknowledges, as a ledger wants it. */
export async function startServer(
  settings: Record<string, string> = {},
  place: PostgresPlace = {},
): Promise<RealPostgres> {
  const server = await startPostgres({ fsync: 'on', log_statement: 'none', ...settings }, place);
  const { username, password } = server.admin;
  // Tests log in hundreds of times: stretching this key protects nothing.
  await server.sql(`SET scram_iterations = 1; ALTER ROLE ${username} PASSWORD '${password}'`);
  return server;
}

export interface At {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly schema?: string;
}

export const urlOf = ({ host, port, user, password, database, schema }: At): string =>
  `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}${schema === undefined ? '' : `?schema=${schema}`}`;

export const adminOf = ({ host, port, admin }: RealPostgres, schema: string): At => ({
  host,
  port,
  user: admin.username,
  password: admin.password,
  database: 'postgres',
  schema,
});

export const reading =
  (url: () => string): ReadRef =>
  async () => ({ value: new Secret(url()), version: '1', store: 'vars' });

export const depsOf = (at: At | (() => At), given: DriverGiven = {}): LedgerDriverDeps & InspectDeps => ({
  ...driverDeps(given),
  read: reading(() => urlOf(typeof at === 'function' ? at() : at)),
});

/** Connections as a broker has them. */
export const laneTo = (at: At, most = 2, sslmode?: string): Lane => {
  const address = readAddress(`${urlOf(at)}${sslmode === undefined ? '' : `&sslmode=${sslmode}`}`);
  return openLane((deadline) => connectToWrite(address, deadline), most, Date.now);
};

let made = 0;
/** A schema that no other test has. */
export const newSchema = (): string => `ledger_${++made}`;

/** A superuser's session that writes even where the database was told not to. */
export async function superuser({ host, port, admin }: RealPostgres): Promise<pg.Client> {
  const options = '-c default_transaction_read_only=off';
  const client = new pg.Client({
    host,
    port,
    user: admin.username,
    ...admin,
    database: 'postgres',
    ssl: false,
    options,
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** Makes the tables of a schema as new as `ledger init` leaves them, which is faster than new tables. */
export async function emptyTables(client: pg.Client, schema: string): Promise<void> {
  const kept = "'made', 'head', 'index_seen'";
  const query = `SELECT tablename AS name FROM pg_tables WHERE schemaname = '${schema}' AND tablename NOT IN (${kept})`;
  const { rows } = await client.query(query);
  await client.query(`${rows.map(({ name }) => `DELETE FROM ${schema}.${name}`).join('; ')};
    UPDATE ${schema}.index_seen SET seen = 0, forgets = 0;
    UPDATE ${schema}.head SET generation = 1, base = 0, size = 0, compact = '', epoch = 0, checkpoint = '',
      root = decode('${toHex(emptyRoot)}', 'hex')`);
}

/** Makes the tables as `ledger init` does, and opens the log. */
export async function openAt(at: At | (() => At), given: DriverGiven = {}) {
  const deps = depsOf(at, given);
  await initPostgresLedger(config, deps);
  return openShard(config, deps, undefined);
}

export { initPostgresLedger, inspectPostgresLedger, openPostgresLedger, openShard };

/** What verify finds wrong. */
export async function findings(at: At, options: { since?: string; shard?: number } = {}) {
  const { shard, since } = options;
  const deps = { ...depsOf(at), ...(shard !== undefined && { shard }) };
  const { source, close } = await inspectPostgresLedger(config, deps);
  try {
    const report = await verifyLog(source, {
      needIntent: new Set(['postgres']),
      ...(since !== undefined && { since }),
    });
    return report.findings;
  } finally {
    await close();
  }
}
