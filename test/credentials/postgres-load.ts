import { randomBytes } from 'node:crypto';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { type RealPostgres, startPostgres } from '../real-servers/postgres.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';

export type Mode = 'user' | 'once' | 'pool' | 'share' | 'static' | 'token';

export interface IssuedLogin {
  readonly id: string;
  readonly data: { readonly username: string; readonly password: string; readonly url: string; readonly value: string };
}

/** The whole broker, with its ledger in a file, in front of a real PostgreSQL that syncs what it commits. */
export interface PostgresLoad {
  readonly server: RealPostgres;
  readonly broker: OpenBroker;
  /** @throws Error with the problem's status and code */
  issue(mode: Mode): Promise<IssuedLogin>;
  /** Where it is not done at the target at once, that is an error too. */
  revoke(id: string): Promise<void>;
  /** Lets so much of the broker's time go by, milliseconds. */
  advance(ms: number): void;
  /** Ids of the issuances in the ledger. */
  issuances(): Promise<Set<string>>;
  /** The roles at the server that are ours, by their comment the issuance of each. */
  accounts(): Promise<readonly { readonly account: string; readonly issuance: string | null }[]>;
  close(): Promise<void>;
}

/** What a token in the place of a password is like: long, and only as good as whoever signed it. */
const token = `token.${randomBytes(800).toString('base64url')}`;
const root = new URL(process.env.BENCH_ROOT ?? pathToFileURL(fileURLToPath(new URL('../../', import.meta.url))).href);

export async function openLoad(folder: string, poolSize: number): Promise<PostgresLoad> {
  const server = await startPostgres({ fsync: 'on', log_statement: 'none', max_connections: '150' });
  await server.sql(`
    CREATE ROLE orders_rw NOLOGIN;
    CREATE ROLE stored LOGIN PASSWORD 'not-a-real-password' IN ROLE orders_rw;
    CREATE ROLE tokened LOGIN PASSWORD '${token}' IN ROLE orders_rw`);
  let ahead = 0;
  const now = () => Date.now() + ahead;
  const issuer = testIssuer('https://issuer.test', 'https://pass.test', now);
  const admin = { store: 'here', name: 'admin' };
  const at = { kind: 'postgres', host: '127.0.0.1', port: server.port, database: 'postgres' };
  const made = { ...at, admin, role: 'orders_rw' };
  const credentials = {
    user: made,
    once: { ...made, iterations: 1 },
    pool: { ...made, pool: { size: poolSize } },
    share: { ...made, share: { for: '60s', among: 50 } },
    static: { ...at, static: { store: 'here', name: 'stored' } },
    token: { kind: 'secret', store: 'here', name: 'token' },
  };
  const config = embeddedConfig(folder, issuer, {
    stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
    credentials,
    roles: { checkout: Object.keys(credentials), auditor: { audit: 'read' } },
  });
  const broker = await openBroker(config, folder, {
    env: {
      TEST_SECRET_admin: JSON.stringify(server.admin),
      TEST_SECRET_stored: JSON.stringify({ username: 'stored', password: 'not-a-real-password' }),
      TEST_SECRET_token: token,
    },
    now,
    commitWorker: new URL('src/ledger/drivers/sqlite/commit-worker.mjs', root),
  });
  const within = () => deadlineIn(10_000, now);

  return {
    server,
    broker,
    async issue(mode) {
      const response = await broker.ask(`/v1/credentials/${mode}`, issuer.token());
      const issued = await response.json();
      if (response.status !== 200) throw new Error(`${mode}: ${response.status} ${issued.code}`);
      return issued;
    },
    async revoke(id) {
      const { status } = await broker.ask(`/v1/leases/${id}`, issuer.token(), 'DELETE');
      if (status !== 204) throw new Error(`revoke: ${status}`);
    },
    advance(ms) {
      ahead += ms;
    },
    async issuances() {
      const ids = new Set<string>();
      for (let before = Number.MAX_SAFE_INTEGER, more = true; more; ) {
        const page = await broker.deployment.ledger.reader?.list({ type: 'issuance', before, limit: 1000 }, within());
        for (const { index, record } of page ?? []) {
          before = Math.min(before, index);
          ids.add(JSON.parse(record).id);
        }
        more = page !== undefined && page.length > 0;
      }
      return ids;
    },
    async accounts() {
      const { rows } = await server.sql(
        `SELECT rolname::text AS account, split_part(shobj_description(oid, 'pg_authid'), ' ', 2) AS issuance
           FROM pg_roles WHERE rolname LIKE 'hp\\_%'`,
      );
      return rows;
    },
    async close() {
      await broker.deployment.close();
      await server.remove();
    },
  };
}

/** Does `count` pieces of work, `atOnce` at a time. @returns how long each took, milliseconds, and what failed */
export async function inTurns(count: number, atOnce: number, work: (turn: number, caller: number) => Promise<unknown>) {
  const took: number[] = [];
  const failed: string[] = [];
  let next = 0;
  const began = performance.now();
  const caller = async (_: unknown, number: number) => {
    for (let turn = next++; turn < count; turn = next++) {
      const from = performance.now();
      await work(turn, number).catch((error: unknown) => failed.push(String(error)));
      took.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, caller));
  return { took, failed, seconds: (performance.now() - began) / 1000 };
}

/** Many issuances of `user` mode, then their time is over and one sweep: what is left, and what was in no ledger. */
export async function issueAndSweep(load: PostgresLoad, count: number, atOnce: number) {
  // One pass looks at 10,000 at most: what was there before is swept before.
  await sweepAll(load);
  const run = await inTurns(count, atOnce, () => load.issue('user'));
  const recorded = await load.issuances();
  const there = (await load.accounts()).filter(({ account }) => /^hp_[0-9a-z]{26}$/.test(account));
  const report = await sweepAll(load);
  const left = (await load.accounts()).filter(({ account }) => /^hp_[0-9a-z]{26}$/.test(account));
  return {
    ...run,
    made: there.length,
    unrecorded: there.filter(({ issuance }) => !recorded.has(issuance ?? '')).length,
    undone: report.undone,
    left: left.length,
    orphans: report.orphans.length,
  };
}

/** One sweep once everybody's time is over. */
function sweepAll(load: PostgresLoad) {
  load.advance(3_600_000);
  return load.broker.deployment.sweep(deadlineIn(1_800_000, Date.now), true);
}
