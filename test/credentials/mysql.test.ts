import { createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { TargetCredential } from '../../src/credentials/kind.ts';
import { cachingSha2, nativePassword } from '../../src/credentials/mysql/dialect.ts';
import { shaCrypt } from '../../src/credentials/mysql/sha-crypt.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { depsFor, describeKind, faultsOf, leaseOf, openKind, refusalOf, requestFor } from '../contracts/kind.ts';
import { type Answer, type FakeMysql, startFakeMysql } from '../fakes/mysql.ts';

const soon = (ms = 5_000) => deadlineIn(ms, Date.now);
const deps = () => depsFor({ ADMIN: '{"username":"maker","password":"not-a-real-password"}' });
const entryAt = (port: number, more = {}) => ({
  kind: 'mysql',
  host: '127.0.0.1',
  port,
  database: 'orders',
  admin: { store: 'vars', name: 'ADMIN' },
  role: "orders `rw's`",
  ...more,
});
const open = async (port: number, more = {}) => (await openKind(entryAt(port, more), deps())) as TargetCredential;

const fakes: FakeMysql[] = [];
afterEach(() => {
  for (const fake of fakes.splice(0)) fake.close();
});

/** Where no answer is given, it lets all be done, and has the users that were made and not dropped. */
async function serve(version: string, answer: (text: string) => Answer | undefined = () => undefined) {
  const users = new Set<string>();
  const fake = await startFakeMysql(version, (text) => {
    const given = answer(text);
    if (given !== undefined) return given;
    const [, made] = /^CREATE USER `(\w+)`/.exec(text) ?? [];
    if (made !== undefined) users.add(made);
    const [, dropped] = /^DROP USER IF EXISTS `(\w+)`/.exec(text) ?? [];
    if (dropped !== undefined) users.delete(dropped);
    if (/role_edges|roles_mapping/.test(text)) return [...users].map((name) => ({ name }));
    if (text.includes('FROM mysql.user')) {
      const [, user = ''] = /User = x'([0-9a-f]+)'/.exec(text) ?? [];
      return users.has(Buffer.from(user, 'hex').toString()) ? [{ host: '%' }] : [];
    }
    if (text.includes('GET_LOCK')) return [{ ours: 1, version }];
    if (text.includes('VERSION()')) return [{ version }];
    return text.startsWith('SELECT') ? [] : 'done';
  });
  fakes.push(fake);
  return fake;
}

const mysqlVersion = '8.4.3';
const mariadbVersion = '11.4.2-MariaDB-log';

for (const version of [mysqlVersion, mariadbVersion])
  describeKind(
    `mysql (${version})`,
    { members: ['host', 'port', 'database', 'username', 'password', 'url'], fingerprinted: 'password', unlisted: true },
    async () => ({ entry: entryAt((await serve(version)).port), deps: deps() }),
  );

describe('mysql speaks to MySQL', () => {
  it('makes a user known by the hash of its password, when it has its lock', async () => {
    const fake = await serve(mysqlVersion);
    const credential = await open(fake.port, { from: '10.%' });
    const request = requestFor();
    await credential.make(request);
    const account = `\`hp_${request.id}\`@\`10.%\``;
    const lock = `hallpass/hp_${request.id}`;
    expect(fake.heard).toEqual([
      'login maker',
      expect.stringMatching(`^SET SESSION lock_wait_timeout = \\d+; SELECT GET_LOCK\\('${lock}', \\d+\\) AS ours`),
      expect.stringMatching(/^CREATE USER/),
    ]);
    const [create, ...rest] = String(fake.heard[2]).split('; ');
    expect(rest).toEqual([
      `GRANT \`orders \`\`rw's\`\`\` TO ${account}`,
      `SET DEFAULT ROLE \`orders \`\`rw's\`\`\` TO ${account}`,
    ]);
    const [, user, hash, comment] =
      /^CREATE USER (\S+) IDENTIFIED WITH caching_sha2_password AS '(.*)' (COMMENT '.*')$/.exec(String(create)) ?? [];
    expect([user, comment]).toEqual([account, "COMMENT 'made by hallpass for one issuance'"]);
    expect(hash).toMatch(/^\$A\$005\$[\w-]{20}[./0-9A-Za-z]{43}$/);
  });

  it('shuts the account and ends its sessions before it drops the user, and says so when that fails', async () => {
    let sessions = 2;
    const fake = await serve(mysqlVersion, (text) => {
      if (text.includes('mysql.user')) return [{ host: '%' }, { host: '10.%' }];
      if (text.includes('PROCESSLIST')) return sessions > 0 ? [{ id: 7 }, { id: 8 }].slice(0, sessions) : [];
      if (text.startsWith('KILL')) sessions--;
      // Something names it as its definer.
      return text.startsWith('DROP USER') ? 4006 : undefined;
    });
    const credential = await open(fake.port);
    const { id } = requestFor();
    const refusal = await refusalOf(credential.undo({ issuance: id }, soon()));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'errno_4006']);
    expect(`${refusal.stack}`).not.toContain('canary');
    const users = `\`hp_${id}\`@\`%\`, \`hp_${id}\`@\`10.%\``;
    expect(fake.heard.filter((text) => /^(ALTER|KILL|DROP)/.test(text))).toEqual([
      `ALTER USER IF EXISTS ${users} ACCOUNT LOCK`,
      'KILL CONNECTION 7',
      'KILL CONNECTION 8',
      `DROP USER IF EXISTS ${users}`,
    ]);
  });

  it('says an account is gone only when nobody is logged in as it', async () => {
    const fake = await serve(mysqlVersion, (text) => (text.includes('PROCESSLIST') ? [{ id: 7 }] : undefined));
    const refusal = await refusalOf((await open(fake.port)).undo({ issuance: requestFor().id }, soon(400)));
    expect([refusal.code, refusal.reason]).toEqual(['store_timeout', 'slow']);
  });

  it('lists the accounts that hold the role, and no name that is not one of ours', async () => {
    const { id } = requestFor();
    const names = [`hp_${id}`, 'hp_x', `hp_${id}'`, null];
    const fake = await serve(mysqlVersion, (text) =>
      text.includes('role_edges') ? names.map((name) => ({ name })) : undefined,
    );
    const credential = await open(fake.port);
    expect(await credential.accounts?.(soon())).toEqual([{ issuance: id, account: `hp_${id}` }]);
    expect(fake.heard.at(-2)).toContain(`FROM_USER = x'${Buffer.from("orders `rw's`").toString('hex')}'`);
  });
});

describe('mysql speaks to MariaDB', () => {
  it('lets the account set its own default role where the admin may not', async () => {
    const fake = await serve(mariadbVersion, (text) => (text.startsWith('CREATE USER') ? 1044 : undefined));
    const request = requestFor();
    await (await open(fake.port)).make(request);
    const create = /^CREATE USER \S+ IDENTIFIED VIA mysql_native_password USING '\*[0-9A-F]{40}' ?; GRANT /;
    expect(fake.heard.slice(2)).toEqual([
      expect.stringMatching(create),
      `login hp_${request.id}`,
      "SET DEFAULT ROLE `orders ``rw's```",
    ]);
  });
});

describe('mysql’s verifiers', () => {
  it('are what MySQL keeps of a password', async () => {
    // From a MySQL 8 server: hashcat's example for its mode 7401, the password "hashcat".
    const salt = Buffer.from('F9CC98CE08892924F50A213B6BC571A2C11778C5', 'hex');
    expect(await shaCrypt(Buffer.from('hashcat'), salt, 5000)).toBe('bTy95Y99eAME1dwEkHOA1ndHGBWz.1bxSSRkuTXFGV/');
    const hash = await cachingSha2('not-a-real-password', () => new Uint8Array(20));
    expect(hash).toMatch(/^\$A\$005\$A{20}[./0-9A-Za-z]{43}$/);
    expect(await shaCrypt(Buffer.from('not-a-real-password'), Buffer.from('A'.repeat(20)), 5000)).toBe(hash.slice(-43));
  });

  it('are what MariaDB keeps of a password', () => {
    // As `SELECT PASSWORD('password')` says.
    expect(nativePassword('password')).toBe('*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19');
  });
});

describe('mysql, when the server', () => {
  async function listen(onSocket: (socket: Socket) => void) {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.resume();
      sockets.push(socket);
      onSocket(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const stop = () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    };
    return { port: (server.address() as { port: number }).port, sockets, stop };
  }

  it('accepts and says nothing, gives up by the deadline and lets go of the connection', async () => {
    const { port, sockets, stop } = await listen(() => {});
    const credential = await open(port);
    const refusals = await Promise.all([
      refusalOf(credential.make(requestFor({ deadline: soon(300) }))),
      refusalOf(credential.undo({ issuance: requestFor().id }, soon(300))),
      refusalOf(credential.accounts?.(soon(300)) as Promise<unknown>),
    ]);
    expect(refusals.map(({ code, reason }) => [code, reason])).toEqual(Array(3).fill(['store_timeout', 'slow']));
    await expect.poll(() => sockets.every(({ destroyed, readableEnded }) => destroyed || readableEnded)).toBe(true);
    stop();
  });

  it('lets in no more than eight at a time, and the rest give up by their own deadline', async () => {
    const { port, sockets, stop } = await listen(() => {});
    const credential = await open(port);
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
    ['hangs up', (socket: Socket) => void socket.end()],
    ['speaks another protocol', (socket: Socket) => void socket.end('HTTP/1.1 400 canary\r\n\r\n')],
    ['says a packet that ends too soon', (socket: Socket) => void socket.end(Buffer.from('010000000a', 'hex'))],
    ['says a packet of nonsense', (socket: Socket) => void socket.end(Buffer.alloc(200, 0x0a))],
    ['resets', (socket: Socket) => void socket.resetAndDestroy()],
  ])('%s, says store_failed at once', async (_, onSocket) => {
    const { port, stop } = await listen(onSocket);
    const refusal = await refusalOf((await open(port)).make(requestFor()));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'unreachable']);
    expect(`${refusal.stack}`).not.toContain('canary');
    stop();
  });

  it('has no TLS, shows it no password where tls is not off', async () => {
    const fake = await serve(mysqlVersion);
    const refusal = await refusalOf((await open(fake.port, { host: 'localhost', tls: 'verify' })).make(requestFor()));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'unreachable']);
    expect(fake.heard).toEqual([]);
  });

  it.each(['not json', '{}', '{"username":"u"}', '{"username":1,"password":"p"}', '{"username":"","password":"p"}'])(
    'is never asked with the admin %j',
    async (admin) => {
      const credential = (await openKind(entryAt(9), depsFor({ ADMIN: admin }))) as TargetCredential;
      expect((await refusalOf(credential.make(requestFor()))).reason).toBe('bad_admin');
    },
  );
});

it('takes no issuance id that is none, nor a lease of another’s account', async () => {
  const credential = await open(9);
  expect((await refusalOf(() => credential.account('x`; DROP USER root; --'))).reason).toBe('bad_account');
  for (const account of ['root', `hp_${requestFor().id}`])
    expect((await refusalOf(credential.undo({ issuance: requestFor().id, account }, soon()))).reason).toBe(
      'bad_account',
    );
  expect(leaseOf(credential, requestFor()).account).toMatch(/^hp_[0-9a-z]{26}$/);
});

describe('mysql’s config', () => {
  const entry = { ...entryAt(3306), host: 'db.example.com', role: 'rw' };

  it.each([
    {},
    { tls: 'verify' },
    { port: 3307 },
    { host: '127.0.0.1' },
    { host: '127.0.0.1', tls: 'off' },
    { host: '::1', tls: 'off' },
    { host: 'localhost', tls: 'verify' },
    { from: '10.0.0.0/255.0.0.0' },
    { from: 'app-1.example.com' },
    { ttl: '15m' },
  ])('takes %j', (more) => expect(faultsOf({ ...entry, ...more })).toEqual([]));

  it.each([
    { tls: 'off' },
    { host: '127.0.0.1.evil.example', tls: 'off' },
    { host: '10.0.0.1' },
    { host: '::1', tls: 'verify' },
    { host: '2001:db8::1' },
    { tls: 'prefer' },
    { host: '/run/mysqld/mysqld.sock' },
    { host: 'a@b' },
    { port: 0 },
    { database: '' },
    { database: 'a\0' },
    { role: 'none' },
    { role: 'PUBLIC' },
    { role: 'x'.repeat(65) },
    { from: '' },
    { from: "%'; DROP" },
    { from: '`' },
    { admin: 'root' },
    { admin: { username: 'u', password: 'p' } },
    { grants: ['ALL ON *.*'] },
  ])('refuses %j', (more) => expect(faultsOf({ ...entry, ...more })).not.toEqual([]));
});
