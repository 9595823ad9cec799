import mysql from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Issued, IssueRequest, KindDeps, TargetCredential } from '../../src/credentials/kind.ts';
import { sha256 } from '../../src/lib/bytes.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import {
  depsFor,
  describeKind,
  hostileSubjects,
  identity,
  leaseOf,
  openKind,
  refusalOf,
  requestFor,
} from '../contracts/kind.ts';
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
const members = ['host', 'port', 'database', 'username', 'password', 'url'];

let server: RealServer;
let port: number;
let root: mysql.Connection;
let proxy: TcpProxy;
/** Each test has a credential of its own. */
let name = '';
let tests = 0;

const login = (user: string, more: mysql.ConnectionOptions = {}) =>
  mysql.createConnection({ host, port, user, password, disableEval: true, multipleStatements: true, ...more });

beforeAll(async () => {
  if (lacking !== undefined) return;
  server = await startReal('mariadb', { flags: ['--max-connections=300'] });
  port = Number(new URL(server.url).port);
  root = await login('admin');
  await root.query(`
    CREATE DATABASE orders; CREATE TABLE orders.t (n int);
    CREATE ROLE ${quotedRole}; GRANT SELECT, INSERT, CREATE ON orders.* TO ${quotedRole};
    CREATE ROLE other_role;
    CREATE USER maker@'%' IDENTIFIED BY '${password}';
    GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO maker@'%';
    GRANT SELECT ON mysql.user TO maker@'%'; GRANT SELECT ON mysql.roles_mapping TO maker@'%';
    GRANT ${quotedRole} TO maker@'%' WITH ADMIN OPTION;
    CREATE DATABASE hallpass; GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON hallpass.* TO maker@'%';
    CREATE USER rosterless@'%' IDENTIFIED BY '${password}';
    GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO rosterless@'%';
    GRANT SELECT ON mysql.user TO rosterless@'%'; GRANT SELECT ON mysql.roles_mapping TO rosterless@'%';
    GRANT ${quotedRole} TO rosterless@'%' WITH ADMIN OPTION`);
  proxy = await startTcpProxy(port);
});
afterAll(async () => {
  await root?.end();
  await proxy?.close();
  await server?.stop();
});
beforeEach(() => {
  name = `orders-${++tests}`;
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
const depsOf = (admin = admins.maker) => depsFor({ ADMIN: JSON.stringify(admin) });
const open = async (more: object, admin = admins.maker, deps: Partial<KindDeps> = {}) =>
  (await openKind(entryAt(more), { ...depsOf(admin), name, ...deps })) as TargetCredential;
const openPool = (size: number, admin = admins.maker) => open({ pool: { size } }, admin);
const openShare = (more = {}, deps: Partial<KindDeps> = {}) =>
  open({ share: { for: '60s', among: 3, ...more } }, admins.maker, deps);

async function make(credential: TargetCredential, more: Partial<IssueRequest> = {}) {
  const request = requestFor(more);
  const issued = await credential.make(request);
  return madeOf(credential, request, issued);
}

function madeOf(credential: TargetCredential, request: IssueRequest, issued: Issued) {
  const { username, password: secret } = issued.data as { username: string; password: string };
  return { username, password: secret, request, issued, lease: leaseOf(credential, request, issued) };
}

type Made = Awaited<ReturnType<typeof make>>;
async function enter({ username, password: secret }: Pick<Made, 'username' | 'password'>) {
  const client = await login(username, { password: secret, database: 'orders' });
  client.on('error', () => {});
  return client;
}
const comesIn = async (made: Pick<Made, 'username' | 'password'>) => {
  const client = await enter(made).catch(() => undefined);
  await client?.end();
  return client !== undefined;
};
const soon = (ms = 10_000) => deadlineIn(ms, Date.now);
const rowsOf = async (sql: string) => (await root.query<mysql.RowDataPacket[]>(sql))[0];
const usersLike = async (pattern: string) =>
  (await rowsOf(`SELECT User AS name FROM mysql.user WHERE User LIKE '${pattern}' ORDER BY User`)).map(
    ({ name: user }) => user,
  );
const rosterOf = (account: string) =>
  rowsOf(
    `SELECT issuance, worker, until > UTC_TIMESTAMP(3) AS alive FROM hallpass.accounts WHERE account = '${account}'`,
  );
const runOut = (account: string) =>
  root.query(`UPDATE hallpass.accounts SET until = UTC_TIMESTAMP(3) WHERE account = '${account}'`);

describe.skipIf(lacking !== undefined)('mysql in pool mode at a real MariaDB', () => {
  describeKind('mysql in pool mode', { members, fingerprinted: 'password' }, async () => ({
    entry: entryAt({ pool: { size: 2 } }),
    deps: depsOf(),
  }));

  describe.each(Object.entries(admins))('its admin the %s', (_, admin) => {
    it('hands over users of its own making, one to each, which have what the role has and nothing else', async () => {
      const credential = await openPool(3, admin);
      const made = await Promise.all([1, 2, 3].map(() => make(credential)));
      expect(new Set(made.map(({ username }) => username)).size).toBe(3);
      for (const one of made) {
        expect(one.username).toMatch(/^hp_p_[0-9a-f]{16}_[123]$/);
        expect(one.issued.account).toBe(one.username);
        const client = await enter(one);
        const [rows] = await client.query('SELECT current_user() AS user, current_role() AS role');
        expect(rows).toEqual([{ user: `${one.username}@%`, role }]);
        await client.query('INSERT INTO t VALUES (1)');
        for (const forbidden of ['DELETE FROM t', 'CREATE USER x', 'UPDATE hallpass.accounts SET issuance = ""'])
          await expect(client.query(forbidden)).rejects.toMatchObject({ sqlState: '42000' });
        await client.end();
        expect(await rosterOf(one.username)).toEqual([{ issuance: one.request.id, worker: '', alive: 1 }]);
      }
      const listed = await credential.accounts?.(soon());
      expect(listed?.map(({ issuance }) => issuance).sort()).toEqual(made.map(({ request }) => request.id).sort());
      for (const { lease } of made) await credential.undo(lease, soon());
      expect(await credential.accounts?.(soon())).toEqual([]);
    });

    it('ends the sessions and the login of what it takes back, and leaves the next holder alone', async () => {
      const credential = await openPool(2, admin);
      const [first, other] = [await make(credential), await make(credential)];
      const [idle, busy, others] = [await enter(first), await enter(first), await enter(other)];
      const sleeping = busy.query('SELECT sleep(60)').catch((error) => error);
      await credential.undo(first.lease, soon());
      expect(await sleeping).toBeInstanceOf(Error);
      await expect(idle.query('SELECT 1')).rejects.toThrow();
      await expect(enter(first)).rejects.toMatchObject({ errno: 4151 });
      const second = await make(credential);
      expect(second.username).toBe(first.username);
      const client = await enter(second);
      await credential.undo(first.lease, soon());
      await credential.undo({ issuance: first.request.id }, soon());
      await client.query('SELECT 1');
      await others.query('SELECT 1');
      await expect(enter(first)).rejects.toMatchObject({ errno: 1045 });
      for (const { lease } of [second, other]) await credential.undo(lease, soon());
      await expect(client.query('SELECT 1')).rejects.toThrow();
    });
  });

  it('refuses when all are held, says when to ask again, and makes no more', async () => {
    const credential = await openPool(2);
    const made = await make(credential, { expiresAt: Date.now() + 20_000 });
    await make(credential);
    const refusal = await refusalOf(credential.make(requestFor()));
    expect([refusal.code, refusal.reason]).toEqual(['overloaded', 'pool_held']);
    expect(refusal.options.retryAfter).toBeGreaterThan(10);
    expect(refusal.options.retryAfter).toBeLessThanOrEqual(20);
    expect(await usersLike(`${made.username.slice(0, 22)}%`)).toHaveLength(2);
  });

  it('never has two holders of a user, with fifty callers at three instances of a pool of five', async () => {
    const instances = await Promise.all([1, 2, 3].map(() => openPool(5)));
    const holders = new Map<string, string>();
    const clashes: string[] = [];
    let served = 0;
    const overloaded = new Set<string>();
    await Promise.all(
      Array.from({ length: 50 }, async (_, at) => {
        const credential = instances[at % 3] as TargetCredential;
        const until = Date.now() + 60_000;
        for (let mine = 0; mine < 2 && Date.now() < until; ) {
          const request = requestFor({ deadline: soon(30_000) });
          const issued = await credential.make(request).catch((error) => {
            if (error.code !== 'overloaded') throw error;
            overloaded.add(error.reason);
          });
          if (issued === undefined) {
            await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 100));
            continue;
          }
          const made = madeOf(credential, request, issued);
          if (holders.has(made.username)) clashes.push(made.username);
          holders.set(made.username, request.id);
          const client = await enter(made);
          const sessions = `SELECT COUNT(*) AS count FROM information_schema.processlist WHERE USER = '${made.username}'`;
          const [[row]] = (await client.query(sessions)) as unknown as [[{ count: number }]];
          if (row.count !== 1) clashes.push(`${made.username} has ${row.count} sessions`);
          await client.end();
          if (holders.get(made.username) !== request.id) clashes.push(made.username);
          holders.delete(made.username);
          await credential.undo(made.lease, soon(30_000));
          mine++;
          served++;
        }
      }),
    );
    expect(clashes).toEqual([]);
    expect(served).toBe(100);
    expect([...overloaded]).toEqual(['pool_held']);
    const users = await usersLike('hp\\_p\\_%');
    const tagged = await rowsOf(`SELECT account FROM hallpass.accounts WHERE credential = '${name}' ORDER BY account`);
    expect(tagged).toHaveLength(5);
    for (const { account } of tagged) expect(users).toContain(account);
    expect(await instances[0]?.accounts?.(soon())).toEqual([]);
  });

  it('takes over what a lease that ran out has held, its sessions with it', async () => {
    const credential = await openPool(2);
    const [kept, first] = [await make(credential), await make(credential)];
    const session = await enter(first);
    await runOut(first.username);
    expect((await refusalOf(credential.renew?.(first.lease, Date.now() + 1, soon()) as Promise<void>)).reason).toBe(
      'lease_over',
    );
    const second = await make(credential);
    expect(second.username).toBe(first.username);
    await expect(session.query('SELECT 1')).rejects.toThrow();
    expect(await comesIn(first)).toBe(false);
    await credential.undo(first.lease, soon());
    expect(await comesIn(second)).toBe(true);
    expect((await credential.accounts?.(soon()))?.map(({ issuance }) => issuance).sort()).toEqual(
      [kept.request.id, second.request.id].sort(),
    );
  });

  it('makes no user once all are there, and tells the server no password', async () => {
    const credential = await openPool(2);
    for (const { lease } of [await make(credential), await make(credential)]) await credential.undo(lease, soon());
    await root.query("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log");
    const made = await make(credential);
    await credential.undo(made.lease, soon());
    await root.query("SET GLOBAL log_output = 'FILE'");
    const said = (await rowsOf('SELECT CONVERT(argument USING utf8mb4) AS text FROM mysql.general_log'))
      .map(({ text }) => text)
      .join('\n');
    expect(said).toContain(`ALTER USER \`${made.username}\``);
    expect(said).not.toMatch(/CREATE|DROP/);
    const secret = made.password;
    for (const form of [secret, Buffer.from(secret).toString('hex'), Buffer.from(secret).toString('base64')])
      expect(said.includes(form)).toBe(false);
  });

  it('gives the next holder neither the password nor the default role that the one before has set', async () => {
    const credential = await openPool(2);
    await make(credential);
    const first = await make(credential);
    const client = await enter(first);
    await client.query("SET PASSWORD = PASSWORD('chosen'); SET DEFAULT ROLE NONE");
    await client.end();
    await (await login(first.username, { password: 'chosen' })).end();
    await runOut(first.username);
    const second = await make(credential);
    expect(second.username).toBe(first.username);
    await expect(login(first.username, { password: 'chosen' })).rejects.toMatchObject({ errno: 1045 });
    const next = await enter(second);
    expect((await next.query('SELECT current_role() AS role'))[0]).toEqual([{ role }]);
    await next.end();
  });

  it('frees by itself what a crash has left between hand-over and release, and wherever the connection is cut', async () => {
    const credential = await open({ pool: { size: 2 }, port: proxy.port });
    const handed: boolean[] = [];
    for (let cutAfter = 0; cutAfter < 40 && handed.at(-1) !== true; cutAfter++) {
      const request = requestFor({ deadline: soon(1_000) });
      proxy.cutAfter = cutAfter;
      handed.push(
        await credential.make(request).then(
          () => true,
          () => false,
        ),
      );
      proxy.cutAfter = undefined;
      const direct = await openPool(2);
      // Nobody undoes it; its time comes, and that of the turn. The server may get to what was cut off a moment later only.
      const both = await vi.waitFor(
        async () => {
          await root
            .query(
              `UPDATE hallpass.accounts SET until = UTC_TIMESTAMP(3), busy = UTC_TIMESTAMP(3) WHERE issuance = '${request.id}'`,
            )
            .catch(() => {});
          const one = await make(direct);
          return [
            one,
            await make(direct).catch(async (error) => {
              await direct.undo(one.lease, soon());
              throw error;
            }),
          ];
        },
        { timeout: 10_000, interval: 100 },
      );
      for (const made of both) expect(await comesIn(made)).toBe(true);
      for (const { lease } of both) await direct.undo(lease, soon());
    }
    expect(handed.length).toBeGreaterThan(8);
    expect(handed.at(-1)).toBe(true);
  });

  it('lets in no login that was under way when the user was taken back, or handed over', async () => {
    const credential = await openPool(2);
    await make(credential);
    const sessionsOf = ({ username }: Made) =>
      rowsOf(`SELECT 1 FROM information_schema.processlist WHERE USER = '${username}'`);
    for (const over of [(made: Made) => credential.undo(made.lease, soon()), (made: Made) => runOut(made.username)]) {
      const made = await make(credential);
      expect(await (await loginInTwoSteps(port, made)).finish()).toBe('in');
      const late = await loginInTwoSteps(port, made);
      await over(made);
      const next = await make(credential);
      expect(next.username).toBe(made.username);
      expect(await late.finish()).not.toBe('in');
      expect(await sessionsOf(next)).toEqual([]);
      await credential.undo(next.lease, soon());
    }
  });

  it('waits for the turn of one that was cut off, and no longer than that may take', async () => {
    const credential = await openPool(2);
    const made = await make(credential);
    const stuck = (seconds: number) =>
      root.query(
        `UPDATE hallpass.accounts SET worker = 'gone', busy = UTC_TIMESTAMP(3) + INTERVAL ${seconds} SECOND
          WHERE account = '${made.username}'`,
      );
    await stuck(60);
    expect((await refusalOf(credential.undo(made.lease, soon(300)))).code).toBe('store_timeout');
    expect(await comesIn(made)).toBe(true);
    await stuck(1);
    await credential.undo(made.lease, soon());
    expect(await comesIn(made)).toBe(false);
    expect(await rosterOf(made.username)).toEqual([{ issuance: '', worker: '', alive: 0 }]);
  });

  it('takes back by the issuance alone, once whoever asks, and nothing where nothing was handed over', async () => {
    const credential = await openPool(2);
    const made = await make(credential);
    await credential.undo({ issuance: requestFor().id }, soon());
    await credential.undo({ issuance: requestFor().id, account: made.username }, soon());
    expect(await comesIn(made)).toBe(true);
    await Promise.all([1, 2, 3, 4].map(() => credential.undo({ issuance: made.request.id }, soon())));
    expect(await comesIn(made)).toBe(false);
    for (const issuance of [`x' OR true --`, ''])
      expect((await refusalOf(credential.undo({ issuance }, soon()))).reason).toBe('bad_account');
    for (const account of ['admin', 'hp_p_x', `${made.username}'`, `${made.username}0000`, 'hp_s_x'])
      expect((await refusalOf(credential.undo({ issuance: made.request.id, account }, soon()))).reason).toBe(
        'bad_account',
      );
  });

  it('prolongs for who holds it, and for nobody else', async () => {
    const credential = await openPool(2);
    const made = await make(credential, { expiresAt: Date.now() + 60_000 });
    const later = Math.floor(Date.now() / 1000) * 1000 + 900_000;
    await credential.renew?.(made.lease, later, soon());
    const until = `SELECT CAST(until AS CHAR) AS until FROM hallpass.accounts WHERE account = '${made.username}'`;
    const expected = [{ until: new Date(later).toISOString().slice(0, 23).replace('T', ' ') }];
    expect(await rowsOf(until)).toEqual(expected);
    const stranger = { issuance: requestFor().id, account: made.username };
    for (const lease of [stranger, { issuance: made.request.id, account: `${made.username.slice(0, -1)}9` }])
      expect((await refusalOf(credential.renew?.(lease, later + 1, soon()) as Promise<void>)).reason).toBe(
        'lease_over',
      );
    expect(await rowsOf(until)).toEqual(expected);
    await credential.undo(made.lease, soon());
    expect((await refusalOf(credential.renew?.(made.lease, later, soon()) as Promise<void>)).reason).toBe('lease_over');
  });

  it('makes again a user that somebody dropped, and uses no more than its size says', async () => {
    const large = await openPool(4);
    const made = await Promise.all([1, 2, 3, 4].map(() => make(large)));
    for (const { lease } of made) await large.undo(lease, soon());
    await root.query(made.map(({ username }) => `DROP USER ${username}@'%'`).join('; '));
    const small = await openPool(2);
    const used = [await make(small), await make(small)];
    for (const one of used) expect(await comesIn(one)).toBe(true);
    expect(used.map(({ username }) => username.at(-1)).sort()).toEqual(['1', '2']);
    expect((await refusalOf(small.make(requestFor()))).code).toBe('overloaded');
  });

  it('has another pool for another role, and ends accounts of other modes', async () => {
    const credential = await openPool(2);
    const made = await make(credential);
    const other = await make(await open({ pool: { size: 2 }, role: 'other_role' }, admins.admin));
    expect(other.username.slice(0, 21)).not.toBe(made.username.slice(0, 21));
    const own = await open({});
    const theirs = await make(own);
    await own.undo(made.lease, soon());
    await credential.undo(theirs.lease, soon());
    expect(await comesIn(made)).toBe(false);
    expect(await usersLike(theirs.username)).toEqual([]);
  });

  it('says by its error number that the admin may not keep a roster, and lists what has none', async () => {
    const credential = await openPool(2, { username: 'rosterless', password });
    const request = requestFor();
    expect((await refusalOf(credential.make(request))).reason).toBe('errno_1142');
    await credential.undo({ issuance: request.id }, soon());
    expect(await credential.accounts?.(soon())).toEqual([]);
  });

  it.each([...hostileSubjects, '\u0000', '\n', '\u202e', `\${x}{{y}}`])(
    'shows the server nothing of %j',
    async (subject) => {
      const credential = await open({ share: {} }, admins.maker);
      const pooled = await openPool(2);
      const who = { ...identity, subject: `canary ${subject}` };
      for (const made of [await make(credential, { identity: who }), await make(pooled, { identity: who })]) {
        expect(await comesIn(made)).toBe(true);
        const [row] = await rowsOf(`SELECT * FROM hallpass.accounts WHERE account = '${made.username}'`);
        expect(JSON.stringify(row)).not.toContain('canary');
      }
    },
  );
});

/** All within one window, wherever it begins. */
const now = Date.now();

describe.skipIf(lacking !== undefined)('mysql in share mode at a real MariaDB', () => {
  describeKind('mysql in share mode', { members, fingerprinted: 'password' }, async () => ({
    entry: entryAt({ share: {} }),
    deps: depsOf(),
  }));

  it('gives one identity one account, whichever instance it asks, and another identity another', async () => {
    const instances = [await openShare(), await openShare()] as const;
    const [here, there] = [await make(instances[0], { now }), await make(instances[1], { now })];
    expect([there.username, there.password]).toEqual([here.username, here.password]);
    expect(here.username).toMatch(/^hp_s_[0-9a-f]{26}$/);
    expect([here.issued.account, instances[0].revocable]).toEqual([here.username, false]);
    const client = await enter(here);
    expect((await client.query('SELECT current_role() AS role'))[0]).toEqual([{ role }]);
    await client.end();
    for (const other of [
      { ...identity, subject: 'repo:acme/other' },
      { ...identity, iss: 'https://other.example.com' },
      { ...identity, issuer: 'other' },
    ])
      expect((await make(instances[0], { now, identity: other })).username).not.toBe(here.username);
    const elsewhere = await openShare({}, { derive: async (purpose) => sha256('another secret', purpose) });
    expect((await make(elsewhere, { now })).username).not.toBe(here.username);
  });

  it('makes a new one for the next window, and one more where too many share it here', async () => {
    const credential = await openShare();
    const made = [];
    for (let turn = 0; turn < 7; turn++) made.push((await make(credential, { now })).username);
    expect(made.slice(0, 3)).toEqual(Array(3).fill(made[0]));
    expect(new Set(made).size).toBe(3);
    expect(made).not.toContain((await make(credential, { now: now + 60_000 })).username);
  });

  it('is made once by all who ask for it at once, here and at other instances', async () => {
    const instances = await Promise.all([1, 2, 3].map(() => openShare({ among: 50 })));
    const made = await Promise.all(
      Array.from({ length: 45 }, (_, at) => make(instances[at % 3] as TargetCredential, { now })),
    );
    expect(new Set(made.map(({ username }) => username)).size).toBe(1);
    const listed = await instances[0]?.accounts?.(soon());
    expect(listed).toEqual([{ account: made[0]?.username, issuance: expect.any(String) }]);
    expect(made.map(({ request }) => request.id)).toContain(listed?.[0]?.issuance);
  });

  it('lets nobody end it for the others, and ends it once its last lease is over', async () => {
    let clock = Date.now();
    const credential = await openShare({ among: 9 }, { now: () => clock });
    const end = Math.floor(now / 1000) * 1000 + 600_000;
    const [first, second] = [
      await make(credential, { now, expiresAt: end }),
      await make(credential, { now, expiresAt: end + 60_000 }),
    ];
    const third = await make(credential, { now, expiresAt: end - 60_000 });
    const session = await enter(second);
    for (const { lease } of [first, third]) await credential.undo(lease, soon());
    clock = end;
    for (const { lease } of [first, third]) await credential.undo(lease, soon());
    await session.query('SELECT 1');
    await credential.renew?.(second.lease, end + 120_000, soon());
    clock = end + 60_000;
    await credential.undo(second.lease, soon());
    expect(await comesIn(second)).toBe(true);
    clock = end + 120_000;
    await Promise.all([1, 2, 3].map(() => credential.undo(second.lease, soon())));
    await expect(session.query('SELECT 1')).rejects.toThrow();
    expect(await usersLike(second.username)).toEqual([]);
    expect(await rosterOf(second.username)).toEqual([]);
    const renewal = credential.renew?.(second.lease, end + 240_000, soon()) as Promise<void>;
    expect((await refusalOf(renewal)).reason).toBe('lease_over');
  });

  it('ends with one account what else of its credential is over, and nothing of another’s', async () => {
    let clock = now;
    const at = { now: () => clock };
    const credential = await openShare({}, at);
    const left = await make(credential, { now, expiresAt: now + 60_000 });
    const others = await make(await openShare({}, { ...at, name: 'another' }), { now, expiresAt: now + 60_000 });
    const last = await make(credential, {
      now,
      expiresAt: now + 120_000,
      identity: { ...identity, subject: 'repo:acme/other' },
    });
    clock = now + 120_000;
    await credential.undo(last.lease, soon());
    expect(await usersLike(left.username)).toEqual([]);
    expect(await usersLike(last.username)).toEqual([]);
    expect(await comesIn(others)).toBe(true);
  });

  it('is there for who asks while it is being ended', async () => {
    let clock = now;
    const at = { now: () => clock };
    for (let round = 0; round < 5; round++) {
      const [ending, asking] = [await openShare({}, at), await openShare({}, at)];
      clock = now;
      const first = await make(ending, { now, expiresAt: now + 60_000 });
      clock = now + 60_000;
      const [made] = await Promise.all([
        make(asking, { now, expiresAt: now + 600_000 }),
        ending.undo(first.lease, soon()),
      ]);
      expect(made.username).toBe(first.username);
      expect(await comesIn(made)).toBe(true);
      clock = now + 600_000;
      await ending.undo(made.lease, soon());
      expect(await usersLike(made.username)).toEqual([]);
    }
  });

  it('puts the password back that a holder has changed', async () => {
    const first = await make(await openShare(), { now });
    const client = await enter(first);
    await client.query("SET PASSWORD = PASSWORD('chosen')");
    await client.end();
    await make(await openShare(), { now });
    expect(await comesIn(first)).toBe(true);
  });
});

describe.skipIf(lacking !== undefined)('mysql in static mode at a real MariaDB', () => {
  it('hands over the stored user as it is, with no admin, and a URL that logs in', async () => {
    const stored = { username: 'app user@', password: 'not/a real:one' };
    await root.query(
      "CREATE USER `app user@`@'%' IDENTIFIED BY 'not/a real:one'; GRANT SELECT ON orders.* TO `app user@`@'%'",
    );
    const entry = { kind: 'mysql', host, port, database: 'orders', static: { store: 'vars', name: 'APP' } };
    const credential = await openKind(entry, depsFor({ APP: JSON.stringify(stored) }));
    if (credential.made !== 'read') throw new Error('it is read');
    const issued = await credential.read(requestFor());
    expect(issued.data).toMatchObject(stored);
    const client = await mysql.createConnection({ uri: issued.data.url as string, disableEval: true });
    expect((await client.query('SELECT current_user() AS is_'))[0]).toEqual([{ is_: 'app user@@%' }]);
    await client.end();
  });
});
