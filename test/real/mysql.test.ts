import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssueRequest, TargetCredential } from '../../src/credentials/kind.ts';
import { lockName } from '../../src/credentials/mysql/lock.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { depsFor, describeKind, leaseOf, openKind, refusalOf, requestFor } from '../contracts/kind.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import { loginInTwoSteps } from './half-login.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

const lacking = lacks('mariadb');
const host = '127.0.0.1';
const role = "orders `rw's`";
const quotedRole = "`orders ``rw's```";
const password = 'not-a-real-password';
const admins = {
  admin: { username: 'admin', password },
  // As docs/credentials/mysql.md says.
  maker: { username: 'maker', password },
};

let server: RealServer;
let port: number;
let root: mysql.Connection;
let proxy: TcpProxy;

const login = (user: string, more: mysql.ConnectionOptions = {}) =>
  mysql.createConnection({ host, port, user, password, disableEval: true, multipleStatements: true, ...more });

beforeAll(async () => {
  if (lacking !== undefined) return;
  server = await startReal('mariadb');
  port = Number(new URL(server.url).port);
  root = await login('admin');
  await root.query(`
    CREATE DATABASE orders; CREATE TABLE orders.t (n int); CREATE DATABASE \`odd näme\`;
    CREATE ROLE ${quotedRole}; GRANT SELECT, INSERT, CREATE ON orders.* TO ${quotedRole};
    GRANT SELECT ON \`odd näme\`.* TO ${quotedRole};
    CREATE ROLE other_role;
    CREATE USER maker@'%' IDENTIFIED BY '${password}';
    GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO maker@'%';
    GRANT SELECT ON mysql.user TO maker@'%'; GRANT SELECT ON mysql.roles_mapping TO maker@'%';
    GRANT ${quotedRole} TO maker@'%' WITH ADMIN OPTION;
    CREATE USER powerless@'%' IDENTIFIED BY '${password}';
    CREATE USER blind@'%' IDENTIFIED BY '${password}';
    GRANT CREATE USER, CONNECTION ADMIN ON *.* TO blind@'%'; GRANT SELECT ON mysql.user TO blind@'%';
    CREATE USER weak@'%' IDENTIFIED BY '${password}';
    GRANT CREATE USER, PROCESS ON *.* TO weak@'%'; GRANT SELECT ON mysql.user TO weak@'%'`);
  proxy = await startTcpProxy(port);
});
afterAll(async () => {
  await root?.end();
  await proxy?.close();
  await server?.stop();
});

const entryAt = (more = {}) => ({
  kind: 'mysql',
  host,
  port,
  database: 'orders',
  admin: { store: 'vars', name: 'ADMIN' },
  role,
  ...more,
});

const depsOf = (admin: { username: string; password: string }) => depsFor({ ADMIN: JSON.stringify(admin) });

const open = async (admin = admins.maker, more = {}) =>
  (await openKind(entryAt(more), depsOf(admin))) as TargetCredential;

interface Data {
  readonly username: string;
  readonly password: string;
  readonly url: string;
}

async function make(credential: TargetCredential, more: Partial<IssueRequest> = {}) {
  const request = requestFor(more);
  const { data } = await credential.make(request);
  return { ...(data as unknown as Data), lease: leaseOf(credential, request) };
}

type Made = Awaited<ReturnType<typeof make>>;
const enter = ({ username, password }: Made, database = 'orders') => login(username, { password, database });
const soon = (ms = 10_000) => deadlineIn(ms, Date.now);
const rowsOf = async (sql: string) => (await root.query<mysql.RowDataPacket[]>(sql))[0];
const usersNamed = async (name: string) => (await rowsOf(`SELECT 1 FROM mysql.user WHERE User = '${name}'`)).length;
const statements = () => readFileSync(join(server.folder, 'statements.log'), 'utf8');

describe.skipIf(lacking !== undefined)('mysql at a real MariaDB', () => {
  describeKind(
    'mysql',
    { members: ['host', 'port', 'database', 'username', 'password', 'url'], fingerprinted: 'password' },
    async () => ({ entry: entryAt(), deps: depsOf(admins.maker) }),
  );

  describe.each(Object.entries(admins))('its admin the %s', (_, admin) => {
    it('makes a user that logs in, has what the role has and nothing else, and is known by the issuance', async () => {
      const credential = await open(admin);
      const made = await make(credential);
      expect(made.username).toBe(`hp_${made.lease.issuance}`);
      const client = await enter(made);
      const [rows] = await client.query('SELECT current_user() AS user, current_role() AS role');
      expect(rows).toEqual([{ user: `${made.username}@%`, role }]);
      await client.query('INSERT INTO t VALUES (1)');
      for (const forbidden of [
        'DELETE FROM t',
        'CREATE USER x',
        'SELECT * FROM mysql.user',
        'SET GLOBAL max_connections = 9',
      ])
        await expect(client.query(forbidden)).rejects.toMatchObject({ sqlState: '42000' });
      await client.end();
      await credential.undo(made.lease, soon());
      expect(await usersNamed(made.username)).toBe(0);
    });

    it('ends open sessions, in the middle of a statement too, and the user with them', async () => {
      const credential = await open(admin);
      const made = await make(credential);
      const [idle, busy] = [await enter(made), await enter(made)];
      const sleeping = busy.query('SELECT sleep(60)').catch((error) => error);
      await credential.undo(made.lease, soon());
      expect(await sleeping).toBeInstanceOf(Error);
      await expect(idle.query('SELECT 1')).rejects.toThrow();
      await expect(enter(made)).rejects.toMatchObject({ errno: 1045 });
      expect(await usersNamed(made.username)).toBe(0);
      expect(await rowsOf(`SELECT 1 FROM information_schema.processlist WHERE USER = '${made.username}'`)).toEqual([]);
    });

    it('undoes twice, at once, and what was never made', async () => {
      const credential = await open(admin);
      await credential.undo({ issuance: requestFor().id }, soon());
      for (let round = 0; round < 4; round++) {
        const made = await make(credential);
        const session = await enter(made);
        session.on('error', () => {});
        await Promise.all([1, 2, 3].map(() => credential.undo(made.lease, soon())));
        await credential.undo(made.lease, soon());
        expect(await usersNamed(made.username)).toBe(0);
        await expect(session.query('SELECT 1')).rejects.toThrow();
      }
    });

    it('lists what it has made and not yet ended, of this role only', async () => {
      const [credential, other] = [await open(admin), await open(admins.admin, { role: 'other_role' })];
      await root.query("CREATE USER hp_not_a_ulid@'%', HP_01jd9m00000000000000000000@'%'");
      await root.query(`GRANT ${quotedRole} TO hp_not_a_ulid@'%', HP_01jd9m00000000000000000000@'%'`);
      const made = await Promise.all([make(credential), make(credential)]);
      const elsewhere = await make(other);
      const listed = await credential.accounts?.(soon());
      expect(listed?.map(({ account }) => account).sort()).toEqual(made.map(({ username }) => username).sort());
      expect(await other.accounts?.(soon())).toEqual([elsewhere.lease]);
      for (const lease of listed ?? []) await credential.undo(lease, soon());
      expect(await credential.accounts?.(soon())).toEqual([]);
      await other.undo(elsewhere.lease, soon());
      await root.query("DROP USER hp_not_a_ulid@'%', HP_01jd9m00000000000000000000@'%'");
    });
  });

  it('gives a URL that logs in as it stands', async () => {
    const credential = await open(undefined, { database: 'odd näme' });
    const made = await make(credential);
    expect(made.url).toBe(`mysql://${made.username}:${made.password}@${host}:${port}/odd%20n%C3%A4me`);
    const client = await mysql.createConnection({ uri: made.url, disableEval: true });
    expect((await client.query('SELECT database() AS name'))[0]).toEqual([{ name: 'odd näme' }]);
    await client.end();
    await credential.undo(made.lease, soon());
  });

  it('lets an account in from the configured hosts only, and ends it also after these were changed', async () => {
    const credential = await open(admins.admin, { from: '10.1.%' });
    const made = await make(credential);
    await expect(enter(made)).rejects.toMatchObject({ errno: 1045 });
    expect(await rowsOf(`SELECT Host FROM mysql.user WHERE User = '${made.username}'`)).toEqual([{ Host: '10.1.%' }]);
    await (await open(undefined, { from: '10.2.%' })).undo(made.lease, soon());
    expect(await usersNamed(made.username)).toBe(0);
  });

  it('makes and ends many at once', async () => {
    const credential = await open();
    const made = await Promise.all(Array.from({ length: 30 }, () => make(credential)));
    expect(new Set(made.map(({ password }) => password)).size).toBe(30);
    await Promise.all(made.map(({ lease }) => credential.undo(lease, soon())));
    expect(await rowsOf("SELECT User FROM mysql.user WHERE User LIKE 'hp!_%' ESCAPE '!'")).toEqual([]);
  });

  it('closes its connections', async () => {
    const credential = await open();
    const made = await make(credential);
    await credential.undo(made.lease, soon());
    const left = () => rowsOf("SELECT ID FROM information_schema.processlist WHERE USER = 'maker'");
    await expect.poll(left, { timeout: 3_000 }).toEqual([]);
  });

  it('tells the server no password', async () => {
    const credential = await open();
    const made = await make(credential);
    await (await enter(made)).end();
    await credential.undo(made.lease, soon());
    const said = statements();
    expect(said).toContain(made.username);
    const forms = [
      made.password,
      Buffer.from(made.password).toString('hex'),
      Buffer.from(made.password).toString('base64'),
    ];
    for (const form of forms) expect(said.includes(form)).toBe(false);
  });

  it('leaves a half-made user to undo', async () => {
    const credential = await open(undefined, { role: 'no_such_role' });
    const request = requestFor();
    const refusal = await refusalOf(credential.make(request));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'errno_1959']);
    expect(await usersNamed(`hp_${request.id}`)).toBe(1);
    await credential.undo(leaseOf(credential, request), soon());
    expect(await usersNamed(`hp_${request.id}`)).toBe(0);
  });

  it('waits, when undoing, for a make that is still under way', async () => {
    const credential = await open();
    const request = requestFor();
    const lease = leaseOf(credential, request);
    // Holds back CREATE USER, as a busy server would.
    const blocker = await login('admin');
    await blocker.query('FLUSH TABLES WITH READ LOCK');
    const making = credential.make(request);
    const states = () =>
      rowsOf("SELECT STATE AS s FROM information_schema.processlist WHERE USER = 'maker' ORDER BY ID");
    await expect.poll(states).toEqual([{ s: expect.stringMatching(/read lock|backup lock/i) }]);
    const undoing = credential.undo(lease, soon());
    await expect.poll(states).toEqual([{ s: expect.anything() }, { s: 'User lock' }]);
    await blocker.query('UNLOCK TABLES');
    await blocker.end();
    await making;
    await undoing;
    expect(await usersNamed(lease.account as string)).toBe(0);
  });

  it('ends what a make that was given up leaves behind, and says nothing is gone while the server may still make it', async () => {
    const credential = await open();
    // Inside the server it gives up a whole number of seconds later: at 3.
    const request = requestFor({ deadline: soon(2_100) });
    const lease = leaseOf(credential, request);
    const blocker = await login('admin');
    try {
      await blocker.query('FLUSH TABLES WITH READ LOCK');
      expect((await refusalOf(credential.make(request))).code).toBe('store_timeout');
      expect((await refusalOf(credential.undo(lease, soon(300)))).code).toBe('store_timeout');
    } finally {
      await blocker.end();
    }
    await credential.undo(lease, soon());
    expect(await usersNamed(lease.account as string)).toBe(0);
  });

  it('ends an account that holds the very lock its undo waits for', async () => {
    const credential = await open();
    const made = await make(credential);
    const clinging = await enter(made);
    clinging.on('error', () => {});
    await clinging.query(`SELECT GET_LOCK('${lockName(made.username)}', 0)`);
    await credential.undo(made.lease, soon(5_000));
    await expect(clinging.query('SELECT 1')).rejects.toThrow();
    expect(await usersNamed(made.username)).toBe(0);
  });

  it('leaves no login to an account whose lock another one holds', async () => {
    const credential = await open();
    const [made, other] = [await make(credential), await make(credential)];
    const helper = await enter(other);
    helper.on('error', () => {});
    await helper.query(`SELECT GET_LOCK('${lockName(made.username)}', 0)`);
    const session = await enter(made);
    session.on('error', () => {});
    expect((await refusalOf(credential.undo(made.lease, soon(1_500)))).code).toBe('store_timeout');
    await expect(session.query('SELECT 1')).rejects.toThrow();
    await expect(enter(made)).rejects.toMatchObject({ errno: 4151 });
    await credential.undo(other.lease, soon());
    await credential.undo(made.lease, soon());
    expect(await usersNamed(made.username)).toBe(0);
  });

  it('ends a login that was under way when the account was shut', async () => {
    const credential = await open();
    const made = await make(credential);
    expect(await (await loginInTwoSteps(port, made)).finish()).toBe('in');
    const late = await loginInTwoSteps(port, made);
    await credential.undo(made.lease, soon());
    expect(await late.finish()).not.toBe('in');
    expect(await rowsOf(`SELECT 1 FROM information_schema.processlist WHERE USER = '${made.username}'`)).toEqual([]);
  });

  it.each([
    'admin',
    'hp_',
    'hp_x',
    'HP_01jd9m00000000000000000000',
    "hp_01jd9m0000000000000000000'",
    'hp_01jd9m0000000000000000000`',
  ])('drops no user named %j', async (account) => {
    const credential = await open();
    const refusal = await refusalOf(credential.undo({ issuance: requestFor().id, account }, soon()));
    expect(refusal.reason).toBe('bad_account');
    expect(await usersNamed('admin')).toBe(1);
  });

  it('never says that an account is gone while it cannot see or end its sessions', async () => {
    const made = await make(await open());
    const session = await enter(made);
    session.on('error', () => {});
    const refusals = [
      await refusalOf((await open({ username: 'blind', password })).undo(made.lease, soon())),
      await refusalOf((await open({ username: 'weak', password })).undo(made.lease, soon())),
    ];
    expect(refusals.map(({ code, reason }) => [code, reason])).toEqual([
      ['store_failed', 'errno_1227'],
      ['store_failed', 'errno_1095'],
    ]);
    await expect(enter(made)).rejects.toThrow();
    await (await open()).undo(made.lease, soon());
    await expect(session.query('SELECT 1')).rejects.toThrow();
  });

  it('says why the server refused by its error number and nothing else', async () => {
    const wrong = await open({ username: 'admin', password: 'canary-password' });
    const powerless = await open({ username: 'powerless', password });
    const refusals = [
      await refusalOf(wrong.make(requestFor())),
      await refusalOf(powerless.make(requestFor())),
      await refusalOf(powerless.undo({ issuance: requestFor().id }, soon())),
      await refusalOf(powerless.accounts?.(soon()) as Promise<unknown>),
    ];
    expect(refusals.map(({ code, reason }) => [code, reason])).toEqual([
      ['store_failed', 'errno_1045'],
      ['store_failed', 'errno_1227'],
      ['store_failed', 'errno_1142'],
      ['store_failed', 'errno_1142'],
    ]);
    for (const refusal of refusals) {
      expect(`${refusal.stack}${JSON.stringify(refusal.options)}`).not.toMatch(/canary|powerless/);
      expect(refusal.cause).toBeUndefined();
    }
  });

  it('says store_timeout when the server is slow and store_failed when it is cut off, and undoes later', async () => {
    const credential = await open(undefined, { port: proxy.port });
    const hung = requestFor({ deadline: soon(500) });
    proxy.fault = 'hang';
    expect((await refusalOf(credential.make(hung))).code).toBe('store_timeout');
    const cut = requestFor();
    proxy.fault = 'reset';
    const refusal = await refusalOf(credential.make(cut));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'unreachable']);
    proxy.fault = undefined;
    for (const request of [hung, cut]) await credential.undo(leaseOf(credential, request), soon());
    expect(await credential.accounts?.(soon())).toEqual([]);
  });

  it('leaves nothing behind wherever the connection is cut', async () => {
    const made: boolean[] = [];
    for (let cutAfter = 0; cutAfter < 40 && made.at(-1) !== true; cutAfter++) {
      const credential = await open(undefined, { port: proxy.port });
      const request = requestFor();
      proxy.cutAfter = cutAfter;
      made.push(
        await credential.make(request).then(
          () => true,
          () => false,
        ),
      );
      proxy.cutAfter = undefined;
      await credential.undo(leaseOf(credential, request), soon());
      expect(await usersNamed(`hp_${request.id}`)).toBe(0);
    }
    // Before it, then ever later in it, until there was nothing left to cut.
    expect(made.length).toBeGreaterThan(8);
    expect(made.at(-1)).toBe(true);
  });

  it('speaks to a server that has no TLS only where tls is off', async () => {
    const credential = await open(undefined, { host: 'localhost', tls: 'verify' });
    expect((await refusalOf(credential.make(requestFor()))).code).toBe('store_failed');
  });
});
