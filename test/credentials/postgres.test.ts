import { createServer, type Socket } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssueRequest, TargetCredential } from '../../src/credentials/kind.ts';
import { lockKey } from '../../src/credentials/postgres/lock.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { depsFor, describeKind, faultsOf, openKind, refusalOf, requestFor } from '../contracts/kind.ts';
import { type RealPostgres, startPostgres } from '../real-servers/postgres.ts';

let server: RealPostgres;

beforeAll(async () => {
  // Each test has connections of its own, which are closed when they have idled for a while.
  server = await startPostgres({ max_connections: '200' });
  await server.sql(`
    CREATE ROLE "orders rw's" NOLOGIN;
    CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'not-real-either';
    GRANT "orders rw's" TO maker WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
    CREATE ROLE quiet LOGIN CREATEROLE NOINHERIT PASSWORD 'not-real-either';
    GRANT "orders rw's" TO quiet WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
    CREATE ROLE powerless LOGIN PASSWORD 'not-real-either';
  `);
  await server.sql('CREATE DATABASE orders');
  await server.sql('CREATE DATABASE "odd näme"');
  for (const database of ['orders', 'odd näme'])
    await server.sql(`GRANT CREATE, USAGE ON SCHEMA public TO "orders rw's"`, database);
});
afterAll(() => server?.remove());

const role = "orders rw's";
const admins = {
  superuser: () => ({ ...server.admin }),
  'role with CREATEROLE': () => ({ username: 'maker', password: 'not-real-either' }),
  'role with CREATEROLE and NOINHERIT': () => ({ username: 'quiet', password: 'not-real-either' }),
};

const entryAt = (more = {}) => ({
  kind: 'postgres',
  host: server.host,
  port: server.port,
  database: 'orders',
  admin: { store: 'vars', name: 'ADMIN' },
  role,
  ...more,
});

async function open(admin: { username: string; password: string } = admins.superuser(), more = {}) {
  const credential = await openKind(entryAt(more), depsFor({ ADMIN: JSON.stringify(admin) }));
  return credential as TargetCredential;
}

interface Data {
  readonly username: string;
  readonly password: string;
  readonly url: string;
}

async function make(credential: TargetCredential, more: Partial<IssueRequest> = {}) {
  const request = requestFor(more);
  const { data } = await credential.make(request);
  return { ...(data as unknown as Data), account: (data as unknown as Data).username, request };
}

async function login({ username: user, password }: Data, database = 'orders'): Promise<pg.Client> {
  const client = new pg.Client({ host: server.host, port: server.port, user, password, database, ssl: false });
  client.on('error', () => {});
  await client.connect();
  return client;
}

const held = (account: string) => ({ issuance: account.slice(3), account });
const soon = (ms = 10_000) => deadlineIn(ms, Date.now);
const rolesNamed = async (name: string) =>
  (await server.sql(`SELECT 1 FROM pg_roles WHERE rolname = '${name}'`)).rowCount;

describeKind(
  'postgres',
  { members: ['host', 'port', 'database', 'username', 'password', 'url'], fingerprinted: 'password' },
  async () => ({ entry: entryAt(), deps: depsFor({ ADMIN: JSON.stringify(admins.superuser()) }) }),
);

describe.each(Object.entries(admins))('postgres, its admin a %s', (_, admin) => {
  it('makes a role that logs in, acts as the configured role, and is known by the issuance', async () => {
    const credential = await open(admin());
    const made = await make(credential);
    expect(made.username).toBe(`hp_${made.request.id}`);
    const client = await login(made);
    const { rows } = await client.query('SELECT session_user::text, current_user::text');
    expect(rows[0]).toEqual({ session_user: made.username, current_user: role });
    await client.query(`CREATE TABLE "t_${made.request.id}" ()`);
    const owner = await client.query('SELECT tableowner FROM pg_tables WHERE tablename = $1', [`t_${made.request.id}`]);
    expect(owner.rows).toEqual([{ tableowner: role }]);
    await client.end();
    await credential.undo(held(made.account), soon());
    expect(await rolesNamed(made.account)).toBe(0);
    const left = await server.sql(
      `SELECT tableowner FROM pg_tables WHERE tablename = 't_${made.request.id}'`,
      'orders',
    );
    expect(left.rows).toEqual([{ tableowner: role }]);
  });

  it('ends open sessions, in the middle of a statement too, and the role with them', async () => {
    const credential = await open(admin());
    const made = await make(credential);
    const [idle, busy] = [await login(made), await login(made)];
    const sleeping = busy.query('SELECT pg_sleep(60)').catch((error: { code?: string }) => error.code);
    await credential.undo(held(made.account), soon());
    expect(await sleeping).toBe('57P01');
    await expect(idle.query('SELECT 1')).rejects.toThrow();
    await expect(login(made)).rejects.toThrow();
    expect(await rolesNamed(made.account)).toBe(0);
  });

  it('hands on what the role owns itself, in each database, and takes its rights back', async () => {
    const credential = await open(admin());
    const made = await make(credential);
    for (const database of ['orders', 'odd näme']) {
      const client = await login(made, database);
      await client.query(
        `CREATE TABLE "lent_${made.request.id}" (); GRANT SELECT ON "lent_${made.request.id}" TO "${made.username}"`,
      );
      await client.query(`SET ROLE NONE; CREATE TABLE "own_${made.request.id}" ()`);
      await client.end();
    }
    await credential.undo(held(made.account), soon());
    expect(await rolesNamed(made.account)).toBe(0);
    for (const database of ['orders', 'odd näme']) {
      const left = await server.sql(
        `SELECT tableowner FROM pg_tables WHERE tablename = 'own_${made.request.id}'`,
        database,
      );
      expect(left.rows).toEqual([{ tableowner: role }]);
    }
  });

  it('undoes twice, and what was never made', async () => {
    const credential = await open(admin());
    const made = await make(credential);
    await credential.undo(held(made.account), soon());
    await credential.undo(held(made.account), soon());
    await credential.undo({ issuance: requestFor().id }, soon());
    // Three at once, several times over: they may get in each other's way anywhere.
    for (let round = 0; round < 4; round++) {
      const again = await make(credential);
      await Promise.all([1, 2, 3].map(() => credential.undo(held(again.account), soon())));
      expect(await rolesNamed(again.account)).toBe(0);
    }
  });

  it('ends no account that is another issuance’s', async () => {
    const credential = await open(admin());
    const made = await make(credential);
    const lease = { issuance: requestFor().id, account: made.account };
    expect((await refusalOf(credential.undo(lease, soon()))).reason).toBe('bad_account');
    expect(await rolesNamed(made.account)).toBe(1);
    await credential.undo(held(made.account), soon());
  });

  it('leaves the admin no member of the configured role it was not one of before', async () => {
    const credential = await open(admin());
    const made = await make(credential);
    const client = await login(made);
    await client.query(`SET ROLE NONE; CREATE TABLE "kept_${made.request.id}" ()`);
    await client.end();
    await credential.undo(held(made.account), soon());
    const { rows } = await server.sql(`SELECT member::regrole::text, inherit_option, set_option FROM pg_auth_members
                                        WHERE roleid = '"orders rw''s"'::regrole ORDER BY 1`);
    const onlyToGrantIt = { inherit_option: false, set_option: false };
    expect(rows).toEqual([
      { member: 'maker', ...onlyToGrantIt },
      { member: 'quiet', ...onlyToGrantIt },
    ]);
  });
});

describe('postgres', () => {
  it('says in the role’s comment whose it is, and lists what it has made and not ended', async () => {
    const credential = await open(admins['role with CREATEROLE']());
    await server.sql(`CREATE ROLE "hp_01jd9m00000000000000000000" LOGIN`);
    await server.sql(`CREATE ROLE hp_custom LOGIN IN ROLE "${role}"; COMMENT ON ROLE hp_custom IS 'hallpass x it'`);
    const [first, second] = [await make(credential), await make(credential)];
    const comment = `SELECT shobj_description('${first.username}'::regrole, 'pg_authid') AS is`;
    expect((await server.sql(comment)).rows).toEqual([{ is: `hallpass ${first.request.id} it` }]);
    expect(await credential.accounts?.(soon())).toEqual(
      [first, second]
        .map(({ request, username }) => ({ issuance: request.id, account: username }))
        .sort((a, b) => (a.account < b.account ? -1 : 1)),
    );
    for (const { account } of [first, second]) await credential.undo(held(account), soon());
    expect(await credential.accounts?.(soon())).toEqual([]);
    await server.sql('DROP ROLE "hp_01jd9m00000000000000000000"; DROP ROLE hp_custom');
  });

  it('prolongs a login at the server, and nothing that is gone', async () => {
    const credential = await open(admins['role with CREATEROLE']());
    const made = await make(credential, { expiresAt: Date.now() - 1 });
    await credential.renew?.(held(made.account), Date.now() + 60_000, soon());
    await (await login(made)).end();
    await credential.undo(held(made.account), soon());
    const refusal = await refusalOf(
      credential.renew?.(held(made.account), Date.now() + 60_000, soon()) as Promise<void>,
    );
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'sqlstate_42704']);
  });

  it('ends an account that holds its own row, by a change of its password that it never commits', async () => {
    const credential = await open(admins['role with CREATEROLE']());
    const made = await make(credential);
    const clinging = await login(made);
    await clinging.query(`SET ROLE NONE; BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'chosen'`);
    await credential.undo(held(made.account), soon(5_000));
    await expect(clinging.query('SELECT 1')).rejects.toThrow();
    expect(await rolesNamed(made.account)).toBe(0);
  });

  it('keeps an admin connection for the next, and asks anew where the server has ended it meanwhile', async () => {
    const credential = await open();
    const ours = async () =>
      (await server.sql(`SELECT pid FROM pg_stat_activity WHERE application_name = 'hallpass'`)).rows.map(
        ({ pid }) => pid,
      );
    const older = await ours();
    const made = [await make(credential), await make(credential)];
    const [pid, ...more] = (await ours()).filter((one) => !older.includes(one));
    expect(more).toEqual([]);
    await server.sql(`SELECT pg_terminate_backend(${pid})`);
    made.push(await make(credential));
    expect(await ours()).not.toContain(pid);
    for (const { account } of made) await credential.undo(held(account), soon());
  });

  it('refuses the login once the time is over, and knows the time to the millisecond', async () => {
    const credential = await open();
    const past = await make(credential, { expiresAt: Date.now() - 1 });
    await expect(login(past)).rejects.toMatchObject({ code: '28P01' });
    const alive = await make(credential, { expiresAt: Date.parse('2100-01-02T03:04:05.678Z') });
    await (await login(alive)).end();
    const { rows } = await server.sql(
      `SELECT rolvaliduntil AS until FROM pg_roles WHERE rolname = '${alive.username}'`,
    );
    expect(rows).toEqual([{ until: new Date('2100-01-02T03:04:05.678Z') }]);
    for (const { account } of [past, alive]) await credential.undo(held(account), soon());
  });

  it('gives a URL that logs in as it stands', async () => {
    const credential = await open(undefined, { database: 'odd näme' });
    const made = await make(credential);
    expect(made.url).toBe(`postgres://${made.username}:${made.password}@${server.host}:${server.port}/odd%20n%C3%A4me`);
    const client = new pg.Client({ connectionString: made.url });
    await client.connect();
    expect((await client.query('SELECT current_database() AS name')).rows).toEqual([{ name: 'odd näme' }]);
    await client.end();
    await credential.undo(held(made.account), soon());
  });

  it('makes and ends many at once', async () => {
    const credential = await open();
    const made = await Promise.all(Array.from({ length: 30 }, () => make(credential)));
    expect(new Set(made.map(({ password }) => password)).size).toBe(30);
    await Promise.all(made.map(({ account }) => credential.undo(held(account), soon())));
    expect((await server.sql(`SELECT 1 FROM pg_roles WHERE rolname LIKE 'hp\\_%'`)).rowCount).toBe(0);
  });

  it('closes its connections', async () => {
    const credential = await open();
    const made = await make(credential);
    await credential.undo(held(made.account), soon());
    const open_ = () =>
      server.sql(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'hallpass'`);
    await expect.poll(async () => (await open_()).rows[0].n, { timeout: 8_000 }).toBe(0);
  });

  it('tells the server’s log no password', async () => {
    const credential = await open();
    const made = await make(credential);
    await (await login(made)).end();
    await credential.undo(held(made.account), soon());
    const log = server.log();
    expect(log).toContain(made.account);
    expect(log).toContain('SCRAM-SHA-256$4096:');
    for (const form of [
      made.password,
      encodeURIComponent(made.password),
      Buffer.from(made.password).toString('hex'),
      Buffer.from(made.password).toString('base64'),
    ])
      expect(log.includes(form)).toBe(false);
  });

  it('rolls back all of a make that fails half-way', async () => {
    const credential = await open(undefined, { role: 'no_such_role' });
    const request = requestFor();
    const refusal = await refusalOf(credential.make(request));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'sqlstate_42704']);
    expect(await rolesNamed(`hp_${request.id}`)).toBe(0);
  });

  it('waits, when undoing, for a make that is still under way', async () => {
    const credential = await open();
    const request = requestFor();
    const account = `hp_${request.id}`;
    // Holds back the GRANT of the make, as a busy server would.
    const blocker = new pg.Client({
      host: server.host,
      port: server.port,
      user: server.admin.username,
      password: server.admin.password,
      database: 'orders',
      ssl: false,
    });
    await blocker.connect();
    await blocker.query(`BEGIN; ALTER ROLE "${role}" CONNECTION LIMIT 5`);
    await blocker.query('LOCK TABLE pg_auth_members IN ACCESS EXCLUSIVE MODE');
    const making = credential.make(request);
    await expect
      .poll(async () => (await server.sql(`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted`)).rowCount)
      .toBe(1);
    const undoing = credential.undo(held(account), soon());
    await expect
      .poll(
        async () => (await server.sql(`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)).rowCount,
      )
      .toBe(1);
    await blocker.query('ROLLBACK');
    await blocker.end();
    await making;
    await undoing;
    expect(await rolesNamed(account)).toBe(0);
  });

  it('ends an account that holds the very lock its undo waits for', async () => {
    const credential = await open(admins['role with CREATEROLE']());
    const made = await make(credential);
    const clinging = await login(made);
    await clinging.query(`SELECT pg_advisory_lock(${lockKey(made.account)})`);
    await credential.undo(held(made.account), soon(5_000));
    await expect(clinging.query('SELECT 1')).rejects.toThrow();
    expect(await rolesNamed(made.account)).toBe(0);
  });

  it('leaves no login to an account whose lock another one holds', async () => {
    const credential = await open(admins['role with CREATEROLE']());
    const [made, other] = [await make(credential), await make(credential)];
    const helper = await login(other);
    await helper.query(`SELECT pg_advisory_lock(${lockKey(made.account)})`);
    const session = await login(made);
    expect((await refusalOf(credential.undo(held(made.account), soon(1_000)))).code).toBe('store_timeout');
    await expect(session.query('SELECT 1')).rejects.toThrow();
    await expect(login(made)).rejects.toMatchObject({ code: '28000' });
    await credential.undo(held(other.account), soon());
    await credential.undo(held(made.account), soon());
    expect(await rolesNamed(made.account)).toBe(0);
  });

  it.each([
    'postgres',
    'hp_',
    'hp_x',
    'HP_01JD9M00000000000000000000',
    'hp_01jd9m0000000000000000000"',
    "hp_01jd9m00000000000000000000'; --",
  ])('drops no account named %j', async (account) => {
    const credential = await open();
    expect((await refusalOf(credential.undo(held(account), soon()))).reason).toBe('bad_account');
    expect(await rolesNamed('postgres')).toBe(1);
  });

  it('takes no issuance id that is none', async () => {
    const credential = await open();
    expect((await refusalOf(() => credential.account(`x"; DROP ROLE maker; --`))).reason).toBe('bad_account');
  });

  it('says why the server refused by its SQLSTATE and nothing else', async () => {
    const wrong = await open({ username: 'postgres', password: 'canary-password' });
    const powerless = await open({ username: 'powerless', password: 'not-real-either' });
    const nowhere = await open(undefined, { database: 'canary_database' });
    const refusals = await Promise.all(
      [wrong, powerless, nowhere].map((credential) => refusalOf(credential.make(requestFor()))),
    );
    expect(refusals.map(({ code, reason }) => [code, reason])).toEqual([
      ['store_failed', 'sqlstate_28P01'],
      ['store_failed', 'sqlstate_42501'],
      ['store_failed', 'sqlstate_3D000'],
    ]);
    for (const refusal of refusals) {
      expect(`${refusal.stack}${JSON.stringify(refusal.options)}`).not.toContain('canary');
      expect(refusal.cause).toBeUndefined();
    }
  });

  it.each(['not json', '{}', '{"username":"u"}', '{"username":1,"password":"p"}', '{"username":"","password":"p"}'])(
    'refuses the admin %j',
    async (admin) => {
      const credential = (await openKind(entryAt(), depsFor({ ADMIN: admin }))) as TargetCredential;
      expect((await refusalOf(credential.make(requestFor()))).reason).toBe('bad_admin');
    },
  );

  it('works again after the server was restarted', async () => {
    const credential = await open();
    const first = await make(credential);
    await server.stop();
    const refusal = await refusalOf(credential.make(requestFor({ deadline: soon(2_000) })));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'unreachable']);
    await server.start();
    await credential.undo(held(first.account), soon());
    const second = await make(credential);
    await credential.undo(held(second.account), soon());
    expect(await rolesNamed(second.account)).toBe(0);
  });

  it('speaks to a server that has no TLS only where tls is off', async () => {
    expect((await refusalOf((await open(undefined, { tls: 'verify' })).make(requestFor()))).code).toBe('store_failed');
  });
});

describe('postgres, when the server', () => {
  async function listen(onSocket: (socket: Socket) => void) {
    const sockets: Socket[] = [];
    const fake = createServer((socket) => {
      socket.on('error', () => {});
      socket.resume();
      sockets.push(socket);
      onSocket(socket);
    });
    await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
    const { port } = fake.address() as { port: number };
    const stop = () => {
      for (const socket of sockets) socket.destroy();
      fake.close();
    };
    return { port, sockets, stop };
  }

  it('accepts and says nothing, gives up by the deadline and lets go of the connection', async () => {
    const { port, sockets, stop } = await listen(() => {});
    const credential = await open(undefined, { port });
    const started = Date.now();
    const [made, undone] = await Promise.all([
      refusalOf(credential.make(requestFor({ deadline: soon(300) }))),
      refusalOf(credential.undo({ issuance: requestFor().id }, soon(300))),
    ]);
    expect([made, undone].map(({ code, reason }) => [code, reason])).toEqual(Array(2).fill(['store_timeout', 'slow']));
    expect(Date.now() - started).toBeLessThan(2_000);
    await expect.poll(() => sockets.every(({ destroyed, readableEnded }) => destroyed || readableEnded)).toBe(true);
    stop();
  });

  it('lets in no more than eight at a time, and the rest give up by their own deadline', async () => {
    const { port, sockets, stop } = await listen(() => {});
    const credential = await open(undefined, { port });
    const within = (ms: number) => refusalOf(credential.make(requestFor({ deadline: soon(ms) })));
    const inside = Array.from({ length: 8 }, () => within(3_000));
    await expect.poll(() => sockets.length, { interval: 5 }).toBe(8);
    const outside = await Promise.all(Array.from({ length: 12 }, () => within(300)));
    expect(sockets.length).toBe(8);
    const refusals = [...outside, ...(await Promise.all(inside))];
    expect(refusals.map(({ code }) => code)).toEqual(Array(20).fill('store_timeout'));
    stop();
  });

  it.each([
    ['hangs up', (socket: Socket) => socket.end()],
    ['speaks another protocol', (socket: Socket) => socket.end('HTTP/1.1 400 canary\r\n\r\n')],
    ['resets', (socket: Socket) => socket.resetAndDestroy()],
  ])('%s, says store_failed at once', async (_, onSocket) => {
    const { port, stop } = await listen(onSocket);
    const credential = await open(undefined, { port });
    const refusal = await refusalOf(credential.make(requestFor({ deadline: soon(5_000) })));
    expect(refusal.code).toBe('store_failed');
    expect(`${refusal.stack}`).not.toContain('canary');
    stop();
  });
});

describe('postgres’ config', () => {
  const entry = {
    kind: 'postgres',
    host: 'db.example.com',
    database: 'orders',
    admin: { store: 's', name: 'n' },
    role: 'rw',
  };

  it.each([
    {},
    { tls: 'verify' },
    { port: 6432 },
    { host: '127.0.0.1', tls: 'off' },
    { host: '::1', tls: 'off' },
    { host: 'localhost' },
    { ttl: '15m' },
    { pool: { size: 1000 } },
    { iterations: 1 },
    { share: {} },
    { share: { for: '5m', among: 1 } },
    { static: { store: 's', name: 'n' } },
    { static: { store: 's', name: 'n' }, admin: undefined, role: undefined },
    { pooler: { host: 'pooler.example.com', port: 6432 } },
  ])('takes %j', (more) => expect(faultsOf({ ...entry, ...more })).toEqual([]));

  it.each([
    { tls: 'off' },
    { host: '127.0.0.1.evil.example', tls: 'off' },
    { tls: 'prefer' },
    { host: '/var/run/postgresql' },
    { host: 'a@b' },
    { host: 'a/b' },
    { port: 0 },
    { port: '5432' },
    { database: '' },
    { database: 'a\0' },
    { role: 'none' },
    { role: 'PUBLIC' },
    { role: undefined },
    { admin: undefined },
    { pool: { size: 1 } },
    { iterations: 0 },
    { pool: { size: 1001 } },
    { pool: { size: 2.5 } },
    { pool: {} },
    { share: { for: '1s' } },
    { share: { among: 0 } },
    { static: 'app' },
    { pool: { size: 5 }, share: {} },
    { pool: { size: 5 }, static: { store: 's', name: 'n' } },
    { share: {}, static: { store: 's', name: 'n' } },
    { pooler: { host: 'a/b' } },
    { role: 'x'.repeat(64) },
    { admin: 'postgres' },
    { admin: { username: 'u', password: 'p' } },
  ])('refuses %j', (more) => expect(faultsOf({ ...entry, ...more })).not.toEqual([]));
});
