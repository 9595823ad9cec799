import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { startFakeMysql } from '../fakes/mysql.ts';
import { startFakeRedis } from '../fakes/redis.ts';
import { type RealPostgres, startPostgres } from '../real-servers/postgres.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

// Bug: the entry of a credential is given another server's address while leases of the first live. They were looked for at
// the new server, not found there, and said to be gone, while the accounts lived on at the old one.

const admin = { username: 'postgres', password: 'not-a-real-password' };

/** A broker that is stopped and started on the same ledger with another entry for `db`. */
function openMovable(kind: Record<string, unknown>) {
  const { folder, remove } = temporaryFolder();
  let shift = 0;
  const now = () => Date.now() + shift;
  const issuer = testIssuer('https://issuer.test', 'https://pass.test', now);
  const operator = () => issuer.token({ sub: 'svc:operator' });
  let broker: OpenBroker | undefined;
  const ask = async (path: string, token: string, method?: string) => {
    if (broker === undefined) throw new Error('not started');
    return broker.ask(path, token, method);
  };

  return {
    /** Starts it with this in its entry. */
    async at(address: Record<string, unknown>) {
      await broker?.deployment.close();
      const config = embeddedConfig(folder, issuer, {
        stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
        credentials: { db: { host: '127.0.0.1', admin: { store: 'here', name: 'admin' }, ...kind, ...address } },
        roles: { checkout: ['db'], operator: { leases: 'revoke' } },
        grants: [
          { name: 'checkout', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['checkout'], ttl: '5m' },
          { name: 'operate', identity: { issuer: 'ci', subject: 'svc:operator' }, may: ['operator'] },
        ],
      });
      const env = { TEST_SECRET_admin: JSON.stringify(admin) };
      broker = await openBroker(config, folder, { env, now });
    },
    async issue(): Promise<{ id: string; receipt: { record: string } }> {
      const answer = await ask('/v1/credentials/db', issuer.token());
      expect(answer.status).toBe(200);
      return answer.json();
    },
    renew: (id: string) => ask(`/v1/leases/${id}/renew`, issuer.token()),
    revoke: async (id: string) => (await ask(`/v1/leases/${id}`, issuer.token(), 'DELETE')).status,
    sweep: async () => (await ask('/v1/leases/sweep', operator())).json(),
    list: async () => (await (await ask('/v1/leases?state=unrevoked', operator(), 'GET')).json()).items,
    later: (minutes: number) => {
      shift += minutes * 60_000;
    },
    reasons: async (id: string) =>
      (await broker?.deployment.ledger.issuance(id, deadlineIn(2_000, now)))?.flatMap(
        ({ record }) => JSON.parse(record).reason ?? [],
      ),
    async close() {
      await broker?.deployment.close();
      remove();
    },
  };
}

type Movable = ReturnType<typeof openMovable>;
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
function movable(kind: Record<string, unknown>): Movable {
  const broker = openMovable(kind);
  closing.push(broker.close);
  return broker;
}

describe('two PostgreSQL servers, and an entry that names the second in place of the first', () => {
  let servers: RealPostgres[];
  beforeAll(async () => {
    servers = [await startPostgres(), await startPostgres()];
    for (const server of servers) await server.sql('CREATE ROLE orders_rw NOLOGIN');
  }, 120_000);
  afterAll(async () => {
    for (const server of servers ?? []) await server.remove();
  });

  const [first, second] = [0, 1].map((at) => () => servers[at] as RealPostgres) as [
    () => RealPostgres,
    () => RealPostgres,
  ];
  const kind = { kind: 'postgres', database: 'postgres', role: 'orders_rw' };
  const accountsOf = async (server: RealPostgres) =>
    (await server.sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'hp\\_%'")).rows.map(({ rolname }) => rolname);

  it('does not say of a lease at the first that it is gone, until it is', { timeout: 60_000 }, async () => {
    const broker = movable(kind);
    await broker.at({ port: first().port });
    const [revoked, expired] = [await broker.issue(), await broker.issue()];
    expect(JSON.parse(revoked.receipt.record).version).toMatch(/^target:[A-Za-z0-9_-]{22}$/);
    expect(revoked.receipt.record).not.toContain('127.0.0.1');

    await broker.at({ port: second().port });
    expect(await broker.revoke(revoked.id)).toBe(202);
    broker.later(10);
    expect(await broker.sweep()).toMatchObject({
      undone: 0,
      unrevoked: 2,
      failed: [{ reason: 'target_changed' }, { reason: 'target_changed' }],
    });
    expect(await broker.list()).toMatchObject([
      { id: revoked.id, reason: 'requested', failed: { reason: 'target_changed' } },
      { id: expired.id, reason: 'expired', failed: { reason: 'target_changed' } },
    ]);
    expect(await broker.revoke(revoked.id)).toBe(202);
    expect(await broker.reasons(revoked.id)).toEqual(['requested', 'unrevoked']);
    expect((await accountsOf(first())).sort()).toEqual([`hp_${revoked.id}`, `hp_${expired.id}`].sort());
    // What is made at the second meanwhile ends there as ever.
    const here = await broker.issue();
    expect(await broker.revoke(here.id)).toBe(204);

    await broker.at({ port: first().port });
    expect(await broker.sweep()).toMatchObject({ undone: 2, unrevoked: 0, failed: [] });
    expect(await accountsOf(first())).toEqual([]);
    expect(await broker.reasons(revoked.id)).toEqual(['requested', 'unrevoked', 'done']);
  });

  it('ends it where the entry says that this is the same server by another address', { timeout: 60_000 }, async () => {
    const broker = movable(kind);
    await broker.at({ port: first().port });
    const { id } = await broker.issue();

    await broker.at({ host: 'localhost', port: first().port });
    expect(await broker.revoke(id)).toBe(202);
    // Where the server has only got another name, the account is ended all the same.
    expect(await accountsOf(first())).toEqual([]);

    await broker.at({ host: 'localhost', port: first().port, formerly: [{ host: '127.0.0.1', port: first().port }] });
    expect(await broker.sweep()).toMatchObject({ undone: 1, unrevoked: 0, failed: [] });
    expect(await broker.reasons(id)).toEqual(['requested', 'unrevoked', 'done']);
  });

  it('goes by the server alone: another database, role, ttl or pooler is no other one', {
    timeout: 60_000,
  }, async () => {
    const broker = movable(kind);
    await broker.at({ port: first().port });
    const { id } = await broker.issue();
    await broker.at({
      port: first().port,
      database: 'template1',
      ttl: '1m',
      pooler: { host: 'pooler.example.com', port: 6432 },
    });
    expect(await broker.revoke(id)).toBe(204);
    expect(await accountsOf(first())).toEqual([]);
  });

  it('does not prolong a lease of the first', { timeout: 60_000 }, async () => {
    const broker = movable(kind);
    await broker.at({ port: first().port });
    const { id } = await broker.issue();
    await broker.at({ port: second().port });
    const answer = await broker.renew(id);
    expect([answer.status, (await answer.json()).code]).toEqual([400, 'invalid_request']);
    await broker.at({ port: first().port });
    expect(await broker.revoke(id)).toBe(204);
  });
});

describe('an entry that names another server of the same kind', () => {
  async function fakeRedis() {
    const fake = await startFakeRedis();
    closing.push(fake.close);
    return { port: fake.port, users: () => [...fake.users.keys()] };
  }

  async function fakeMysql() {
    const users = new Set<string>();
    const fake = await startFakeMysql('8.4.3', (text) => {
      const [, made] = /^CREATE USER `(\w+)`/.exec(text) ?? [];
      if (made !== undefined) users.add(made);
      const [, dropped] = /^DROP USER IF EXISTS `(\w+)`/.exec(text) ?? [];
      if (dropped !== undefined) users.delete(dropped);
      if (text.includes('FROM mysql.user')) {
        const [, user = ''] = /User = x'([0-9a-f]+)'/.exec(text) ?? [];
        return users.has(Buffer.from(user, 'hex').toString()) ? [{ host: '%' }] : [];
      }
      if (text.includes('GET_LOCK')) return [{ ours: 1, version: '8.4.3' }];
      if (text.includes('VERSION()')) return [{ version: '8.4.3' }];
      return text.startsWith('SELECT') ? [] : 'done';
    });
    closing.push(fake.close);
    return { port: fake.port, users: () => [...users] };
  }

  const kinds = [
    ['redis', fakeRedis, { kind: 'redis', rules: ['~orders:*', '+@read'] }],
    ['mysql', fakeMysql, { kind: 'mysql', database: 'orders', role: 'orders_rw' }],
  ] as const;

  it.each(kinds)('keeps a lease of %s owed until its server is named again', async (_, start, kind) => {
    const [first, second] = [await start(), await start()];
    const broker = movable(kind);
    await broker.at({ port: first.port });
    const { id } = await broker.issue();
    await broker.at({ port: second.port });
    expect(await broker.revoke(id)).toBe(202);
    expect(await broker.sweep()).toMatchObject({ unrevoked: 1, failed: [{ id, reason: 'target_changed' }] });
    expect(first.users()).toEqual([`hp_${id}`]);
    await broker.at({ port: first.port });
    expect(await broker.sweep()).toMatchObject({ undone: 1, unrevoked: 0 });
    expect(first.users()).toEqual([]);
  });

  it.each(kinds)(
    'ends a lease of %s where the new address is said to be of the same server',
    async (_, start, kind) => {
      const server = await start();
      const broker = movable(kind);
      await broker.at({ port: server.port });
      const { id } = await broker.issue();
      await broker.at({ host: 'localhost', port: server.port, formerly: [{ host: '127.0.0.1', port: server.port }] });
      expect(await broker.revoke(id)).toBe(204);
      expect(server.users()).toEqual([]);
    },
  );
});
