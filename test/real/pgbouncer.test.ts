import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { type RealPostgres, startPostgres } from '../real-servers/postgres.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

const lacking = lacks('pgbouncer');
const runs = Number(process.env.HALLPASS_RUNS ?? 400);
const atOnce = 100;
const size = 110;

describe.skipIf(lacking !== undefined)('a pool of PostgreSQL users behind PgBouncer in transaction mode', () => {
  const { folder, remove } = temporaryFolder();
  const issuer = testIssuer('https://issuer.test', 'https://pass.test');
  let postgres: RealPostgres;
  let pooler: RealServer;
  let broker: OpenBroker;

  beforeAll(async () => {
    postgres = await startPostgres({ max_connections: '300', log_statement: 'none' });
    await postgres.sql(`
      CREATE ROLE orders_rw NOLOGIN;
      CREATE ROLE pooler LOGIN PASSWORD 'not-a-real-password';
      CREATE SCHEMA pooler;
      CREATE FUNCTION pooler.login_of(asked text, OUT name text, OUT verifier text)
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS
        $$ SELECT rolname, rolpassword FROM pg_authid
            WHERE rolname = asked AND starts_with(asked, 'hp_') AND rolcanlogin AND rolvaliduntil > now() $$;
      REVOKE ALL ON FUNCTION pooler.login_of FROM public;
      GRANT USAGE ON SCHEMA pooler TO pooler;
      GRANT EXECUTE ON FUNCTION pooler.login_of TO pooler`);
    pooler = await startReal('pgbouncer', { env: { POSTGRES_PORT: String(postgres.port) } });
    const config = embeddedConfig(folder, issuer, {
      stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
      credentials: {
        'orders-db': {
          kind: 'postgres',
          host: '127.0.0.1',
          port: postgres.port,
          database: 'postgres',
          admin: { store: 'here', name: 'admin' },
          role: 'orders_rw',
          pool: { size },
          pooler: { host: '127.0.0.1', port: Number(new URL(pooler.url).port) },
        },
      },
      roles: { checkout: ['orders-db'], auditor: { audit: 'read' } },
    });
    broker = await openBroker(config, folder, { env: { TEST_SECRET_admin: JSON.stringify(postgres.admin) } });
  }, 60_000);

  afterAll(async () => {
    await broker?.deployment.close();
    await pooler?.stop();
    await postgres?.remove();
    remove();
  });

  /** One invocation: a credential, one transaction through the pooler, given back. */
  async function invoke() {
    const response = await broker.ask('/v1/credentials/orders-db', issuer.token());
    const issued = await response.json();
    if (response.status !== 200) throw new Error(`${response.status}: ${issued.code}`);
    const client = new pg.Client({ connectionString: issued.data.url, ssl: false });
    client.on('error', () => {});
    await client.connect();
    const { rows } = await client.query('SELECT session_user::text AS login, current_user::text AS role');
    await client.end();
    const revoked = await broker.ask(`/v1/leases/${issued.id}`, issuer.token(), 'DELETE');
    if (revoked.status !== 204) throw new Error(`revoked: ${revoked.status}`);
    return { id: issued.id as string, ...(rows[0] as { login: string; role: string }) };
  }

  /** The users of ours that the pooler keeps a pool for, and its connections to the server for them. */
  async function pools() {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: Number(new URL(pooler.url).port),
      user: 'pooler',
      password: 'not-a-real-password',
      database: 'pgbouncer',
    });
    await client.connect();
    // Its console understands no other kind of question.
    const { rows } = await client.query('SHOW POOLS');
    await client.end();
    const ours = rows.filter(({ user }) => user.startsWith('hp_'));
    const servers = ours.map((row) => ['sv_active', 'sv_idle', 'sv_used', 'sv_login'].map((of) => Number(row[of])));
    return { users: ours.length, servers: servers.flat().reduce((sum, one) => sum + one, 0) };
  }

  it(`serves ${runs} invocations, ${atOnce} at a time, with no more pools than users and each traced to its issuance`, async () => {
    let left = runs;
    let most = { users: 0, servers: 0 };
    const done: Awaited<ReturnType<typeof invoke>>[] = [];
    const failed: string[] = [];
    const work = async () => {
      while (left-- > 0)
        await invoke().then(
          (one) => done.push(one),
          (error) => failed.push(String(error)),
        );
    };
    const working = Promise.all(Array.from({ length: atOnce }, work));
    let over = false;
    void working.finally(() => {
      over = true;
    });
    while (!over) {
      const now = await pools();
      most = { users: Math.max(most.users, now.users), servers: Math.max(most.servers, now.servers) };
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    await working;
    expect(failed).toEqual([]);
    expect(done.length).toBe(runs);
    expect(most.users).toBeLessThanOrEqual(size);
    expect(most.servers).toBeLessThanOrEqual(size);

    const held = await recorded();
    for (const { id, login, role } of done) {
      expect(held.get(id)?.account).toBe(login);
      expect(role).toBe('orders_rw');
    }
    // No user had two holders at once: each hand-over's intent comes after the revocation of the one before.
    const spans = [...held.values()].sort((a, b) => a.issued - b.issued);
    const ends = new Map<string, number>();
    for (const { account, issued, ended } of spans) {
      expect(issued).toBeGreaterThan(ends.get(account) ?? -1);
      ends.set(account, ended ?? Number.POSITIVE_INFINITY);
    }
    console.log(
      `${runs} invocations, ${atOnce} at once: ${most.users} pools, ${most.servers} server connections at most`,
    );
  }, 3_600_000);

  /** Of each issuance in the ledger: the account, and where in the log it was issued and revoked. */
  async function recorded() {
    const held = new Map<string, { account: string; issued: number; ended?: number }>();
    let before = Number.MAX_SAFE_INTEGER;
    for (;;) {
      const page =
        (await broker.deployment.ledger.reader?.list({ before, limit: 1000 }, deadlineIn(10_000, Date.now))) ?? [];
      for (const { index, record } of page) {
        before = Math.min(before, index);
        const { type, id, issuance, lease } = JSON.parse(record);
        if (type === 'issuance') held.set(id, { ...held.get(id), account: lease.account, issued: index });
        if (type === 'revocation') held.set(issuance, { account: '', issued: -1, ended: index });
      }
      if (page.length === 0) break;
    }
    return held;
  }
});
