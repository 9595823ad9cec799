import pg from 'pg';
import type { Issued, IssueRequest, KindDeps, Lease, TargetCredential } from '../../src/credentials/kind.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { depsFor, openKind, requestFor } from '../contracts/kind.ts';
import { type RealPostgres, startPostgres } from '../real-servers/postgres.ts';

export interface Data {
  readonly username: string;
  readonly password: string;
  readonly url: string;
}

export interface Made extends Data {
  readonly issued: Issued;
  readonly lease: Lease;
  readonly request: IssueRequest;
}

export const soon = (ms = 10_000) => deadlineIn(ms, Date.now);

export async function make(credential: TargetCredential, more: Partial<IssueRequest> = {}): Promise<Made> {
  const request = requestFor(more);
  const issued = await credential.make(request);
  const account = issued.account ?? credential.account(request.id);
  const lease = { issuance: request.id, ...(account && { account }) };
  return { ...(issued.data as unknown as Data), issued, lease, request };
}

/** A server with the database `orders`, a role whose name needs care, and admins with and without superuser. */
export async function postgresRig() {
  const server: RealPostgres = await startPostgres({ max_connections: '200' });
  await server.sql(`
    CREATE ROLE "orders rw's" NOLOGIN;
    CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'not-real-either';
    GRANT "orders rw's" TO maker WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
  `);
  await server.sql('CREATE DATABASE orders');
  await server.sql(`GRANT CREATE, USAGE ON SCHEMA public TO "orders rw's"`, 'orders');
  const role = "orders rw's";
  const admins = { superuser: server.admin, maker: { username: 'maker', password: 'not-real-either' } };
  const entry = (more = {}) => ({
    kind: 'postgres',
    host: server.host,
    port: server.port,
    database: 'orders',
    admin: { store: 'vars', name: 'ADMIN' },
    role,
    ...more,
  });
  return {
    server,
    role,
    entry,
    async open(more = {}, deps: Partial<KindDeps> = {}, admin: keyof typeof admins = 'superuser') {
      const values = { ADMIN: JSON.stringify(admins[admin]) };
      return (await openKind(entry(more), { ...depsFor(values), ...deps })) as TargetCredential;
    },
    async login({ username: user, password }: Data): Promise<pg.Client> {
      const { host, port } = server;
      const client = new pg.Client({ host, port, user, password, database: 'orders', ssl: false });
      client.on('error', () => {});
      await client.connect();
      return client;
    },
    /** The rows of a query about the roles, as the superuser. */
    rows: async (sql: string) => (await server.sql(sql, 'orders')).rows,
  };
}

export type PostgresRig = Awaited<ReturnType<typeof postgresRig>>;
