import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssueRequest, TargetCredential } from '../../src/credentials/kind.ts';
import { encodeCommand, openParser, RedisError, type Reply } from '../../src/credentials/redis/resp.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { depsFor, describeKind, leaseOf, openKind, refusalOf, requestFor } from '../contracts/kind.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

const lacking = lacks('redis');
const host = '127.0.0.1';
const password = 'not-a-real-password';
const rules = ['~orders:*', '%R~prices:*', '+@read', '+@write', '+@connection', '+subscribe', '+blpop', '-@dangerous'];
const admins = {
  admin: { username: 'admin', password },
  // As docs/credentials/redis.md says.
  maker: { username: 'maker', password },
};

let server: RealServer;
let port: number;
let root: Session;
let proxy: TcpProxy;

interface Session {
  call(...words: string[]): Promise<Reply>;
  readonly socket: Socket;
  readonly ended: Promise<void>;
}

/** A client that is not the one under test, but for the bytes. */
async function login(username: string, secret: string): Promise<Session> {
  const socket = connect(port, host);
  const parser = openParser();
  const waiting: ((reply: Reply) => void)[] = [];
  socket.on('data', (bytes) => {
    for (const reply of parser.take(bytes)) waiting.shift()?.(reply);
  });
  socket.on('error', () => {});
  const ended = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  const call = async (...words: string[]) => {
    socket.write(encodeCommand(words));
    const reply = await Promise.race([
      new Promise<Reply>((resolve) => waiting.push(resolve)),
      ended.then(() => Promise.reject(new Error('closed'))),
    ]);
    if (reply instanceof RedisError) throw reply;
    return reply;
  };
  await call('AUTH', username, secret);
  return { call, socket, ended };
}

beforeAll(async () => {
  if (lacking !== undefined) return;
  server = await startReal('redis');
  port = Number(new URL(server.url).port);
  root = await login('admin', password);
  const rights = ['+acl|setuser', '+acl|deluser', '+acl|list', '+client|setname', '+client|list', '+client|kill'];
  await root.call('ACL', 'SETUSER', 'maker', 'on', `>${password}`, ...rights);
  await root.call('ACL', 'SETUSER', 'powerless', 'on', `>${password}`, '+ping');
  await root.call('ACL', 'SETUSER', 'blind', 'on', `>${password}`, '+acl|deluser');
  proxy = await startTcpProxy(port);
});
afterAll(async () => {
  root?.socket.destroy();
  await proxy?.close();
  await server?.stop();
});

const entryAt = (more = {}) => ({ kind: 'redis', host, port, admin: { store: 'vars', name: 'ADMIN' }, rules, ...more });
const depsOf = (admin: { username: string; password: string }) => depsFor({ ADMIN: JSON.stringify(admin) });

const open = async (admin = admins.maker, more = {}, name = 'it') =>
  (await openKind(entryAt(more), { ...depsOf(admin), name })) as TargetCredential;

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

const enter = ({ username, password }: Data) => login(username, password);
const soon = (ms = 10_000) => deadlineIn(ms, Date.now);
const users = async () => (await root.call('ACL', 'USERS')) as readonly string[];
const clients = async () => String(await root.call('CLIENT', 'LIST'));

/** A network that loses the command after the first few, and gives it to the server later, whatever became of its sender. */
async function holdingBack(passing: number) {
  const onward = connect(port, host);
  let held = Buffer.alloc(0);
  let count = 0;
  let holding = () => {};
  const holds = new Promise<void>((resolve) => {
    holding = resolve;
  });
  const front = createServer((socket) => {
    socket.on('error', () => {});
    onward.on('data', (bytes) => socket.write(bytes));
    socket.on('data', (bytes) => {
      if (count++ < passing) return onward.write(bytes);
      held = Buffer.concat([held, bytes]);
      holding();
    });
  });
  onward.on('error', () => {});
  const ended = new Promise<void>((resolve) => onward.on('close', () => resolve()));
  await new Promise<void>((resolve) => front.listen(0, host, resolve));
  const release = () => {
    onward.end(held);
    front.close();
  };
  return { port: (front.address() as AddressInfo).port, holds, release, ended };
}

describe.skipIf(lacking !== undefined)('redis at a real server', () => {
  describeKind(
    'redis',
    { members: ['host', 'port', 'username', 'password', 'url'], fingerprinted: 'password' },
    async () => ({ entry: entryAt(), deps: depsOf(admins.maker) }),
  );

  describe.each(Object.entries(admins))('its admin the %s', (_, admin) => {
    it('makes a user that logs in, may what the rules say and nothing else, and is known by the issuance', async () => {
      const credential = await open(admin);
      const made = await make(credential);
      expect(made.username).toBe(`hp_${made.lease.issuance}`);
      const client = await enter(made);
      expect(await client.call('SET', 'orders:1', 'x')).toBe('OK');
      expect(await client.call('GET', 'prices:1')).toBe(null);
      for (const forbidden of [
        ['GET', 'secrets'],
        ['SET', 'prices:1', 'x'],
        ['SUBSCRIBE', 'news'],
        ['ACL', 'LIST'],
        ['CONFIG', 'GET', '*'],
        ['FLUSHALL'],
      ])
        await expect(client.call(...forbidden)).rejects.toMatchObject({ code: 'NOPERM' });
      await credential.undo(made.lease, soon());
      expect(await users()).not.toContain(made.username);
    });

    it('ends open connections, also one that waits inside a command, and the user with them', async () => {
      const credential = await open(admin);
      const made = await make(credential);
      const [idle, busy] = [await enter(made), await enter(made)];
      const waiting = busy.call('BLPOP', 'orders:none', '0').catch((error) => error);
      await credential.undo(made.lease, soon());
      await Promise.all([idle.ended, busy.ended]);
      expect(await waiting).toBeInstanceOf(Error);
      await expect(enter(made)).rejects.toMatchObject({ code: 'WRONGPASS' });
      expect(await clients()).not.toContain(made.username);
    });

    it('undoes twice, at once, and what was never made', async () => {
      const credential = await open(admin);
      await credential.undo({ issuance: requestFor().id }, soon());
      for (let round = 0; round < 4; round++) {
        const made = await make(credential);
        const session = await enter(made);
        await Promise.all([1, 2, 3].map(() => credential.undo(made.lease, soon())));
        await credential.undo(made.lease, soon());
        await session.ended;
        expect(await users()).not.toContain(made.username);
      }
    });

    it('lists what it has made and not yet ended, and nothing of another credential', async () => {
      const [credential, other] = [await open(admin), await open(admin, {}, 'it.2')];
      await root.call('ACL', 'SETUSER', 'hp_not_a_ulid', 'on', '&hallpass:it');
      const made = await Promise.all([make(credential), make(credential)]);
      const elsewhere = await make(other);
      const listed = await credential.accounts?.(soon());
      expect(listed?.map(({ account }) => account).sort()).toEqual(made.map(({ username }) => username).sort());
      expect(await other.accounts?.(soon())).toEqual([elsewhere.lease]);
      for (const lease of [...(listed ?? []), elsewhere.lease]) await credential.undo(lease, soon());
      expect(await credential.accounts?.(soon())).toEqual([]);
      await root.call('ACL', 'DELUSER', 'hp_not_a_ulid');
    });
  });

  it('names the database in what it hands over, where there is one', async () => {
    const credential = await open(undefined, { database: 3 });
    const request = requestFor();
    const { data } = await credential.make(request);
    const { username, password: secret } = data as unknown as Data;
    expect(data).toEqual({
      host,
      port,
      database: 3,
      username,
      password: secret,
      url: `redis://${username}:${secret}@${host}:${port}/3`,
    });
    await credential.undo(leaseOf(credential, request), soon());
  });

  it('keeps a new user out of all channels also where the server would let it in', async () => {
    await root.call('CONFIG', 'SET', 'acl-pubsub-default', 'allchannels');
    const credential = await open();
    const made = await make(credential);
    await root.call('CONFIG', 'SET', 'acl-pubsub-default', 'resetchannels');
    const client = await enter(made);
    await expect(client.call('SUBSCRIBE', 'news')).rejects.toMatchObject({ code: 'NOPERM' });
    await credential.undo(made.lease, soon());
  });

  it('lets a user into all channels where a rule says so, and still knows whose it is', async () => {
    for (const rule of ['allchannels', '&*']) {
      const credential = await open(undefined, { rules: [rule, '+subscribe'] });
      const made = await make(credential);
      expect(await (await enter(made)).call('SUBSCRIBE', 'news')).toEqual(['subscribe', 'news', 1]);
      expect(await credential.accounts?.(soon())).toEqual([made.lease]);
      await credential.undo(made.lease, soon());
    }
  });

  it('makes and ends many at once', async () => {
    const credential = await open();
    const made = await Promise.all(Array.from({ length: 40 }, () => make(credential)));
    expect(new Set(made.map(({ password }) => password)).size).toBe(40);
    await Promise.all(made.map(({ lease }) => credential.undo(lease, soon())));
    expect((await users()).filter((name) => name.startsWith('hp_'))).toEqual([]);
  });

  it('closes its connections', async () => {
    const credential = await open();
    const made = await make(credential);
    await credential.undo(made.lease, soon());
    await expect.poll(clients, { timeout: 3_000 }).not.toContain('user=maker');
  });

  it('tells the server the hash of the password only', async () => {
    await root.call('CONFIG', 'SET', 'slowlog-log-slower-than', '0');
    const credential = await open();
    const made = await make(credential);
    await root.call('CONFIG', 'SET', 'slowlog-log-slower-than', '10000');
    const heard = JSON.stringify([await root.call('SLOWLOG', 'GET', '100'), await root.call('ACL', 'LIST')]);
    await credential.undo(made.lease, soon());
    expect(heard).toContain('SETNAME');
    expect(heard).toContain(made.username);
    const forms = [
      made.password,
      Buffer.from(made.password).toString('hex'),
      Buffer.from(made.password).toString('base64'),
    ];
    for (const form of forms) expect(heard.includes(form)).toBe(false);
  });

  it('makes nothing of rules the server does not know', async () => {
    const credential = await open(undefined, { rules: ['~*', '+get', '+no_such_command'] });
    const request = requestFor();
    const refusal = await refusalOf(credential.make(request));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'error_ERR']);
    expect(await users()).not.toContain(`hp_${request.id}`);
  });

  it.each([
    ['+@connection', '-@dangerous'],
    ['+client', '-@admin'],
  ])('makes nobody who could keep the admin out, by the rules %s %s', async (...more) => {
    const credential = await open(admins.maker, { rules: ['~orders:*', ...more] });
    const made = await make(credential);
    const session = await enter(made);
    expect(await session.call('CLIENT', 'SETNAME', 'mine')).toBe('OK');
    for (const words of [
      ['KILL', 'TYPE', 'normal'],
      ['PAUSE', '1000'],
    ])
      await expect(session.call('CLIENT', ...words)).rejects.toMatchObject({ code: 'NOPERM' });
    await credential.undo(made.lease, soon());
    await session.ended;
  });

  it('ends, when undoing, the connection of a make that is still under way', async () => {
    const slow = await holdingBack(2);
    const credential = await open(undefined, { port: slow.port });
    const request = requestFor({ deadline: soon(700) });
    const lease = leaseOf(credential, request);
    const making = refusalOf(credential.make(request));
    await slow.holds;
    expect((await making).code).toBe('store_timeout');
    expect(await clients()).toContain(`name=${lease.account}`);
    await (await open()).undo(lease, soon());
    expect(await clients()).not.toContain(`name=${lease.account}`);
    slow.release();
    await slow.ended;
    expect(await users()).not.toContain(lease.account);
  });

  it('ends no connection of another’s that has taken the name', async () => {
    const credential = await open();
    const [made, other] = [await make(credential), await make(credential)];
    const impostor = await enter(other);
    await impostor.call('CLIENT', 'SETNAME', made.username);
    await credential.undo(made.lease, soon(2_000));
    expect(await impostor.call('GET', 'orders:1')).toBeDefined();
    await credential.undo(other.lease, soon());
  });

  it.each(['admin', 'default', 'hp_', 'hp_x', 'HP_01jd9m00000000000000000000', 'hp_01jd9m0000000000000000000 '])(
    'ends no user named %j',
    async (account) => {
      const credential = await open();
      const refusal = await refusalOf(credential.undo({ issuance: requestFor().id, account }, soon()));
      expect(refusal.reason).toBe('bad_account');
      expect(await users()).toEqual(expect.arrayContaining(['admin', 'default']));
    },
  );

  it('never says that an account is gone while it cannot see its connections', async () => {
    const made = await make(await open());
    const refusal = await refusalOf((await open({ username: 'blind', password })).undo(made.lease, soon()));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'error_NOPERM']);
    await (await open()).undo(made.lease, soon());
  });

  it('says why the server refused by its code and nothing else', async () => {
    const wrong = await open({ username: 'admin', password: 'canary-password' });
    const powerless = await open({ username: 'powerless', password });
    const refusals = [
      await refusalOf(wrong.make(requestFor())),
      await refusalOf(powerless.make(requestFor())),
      await refusalOf(powerless.undo({ issuance: requestFor().id }, soon())),
      await refusalOf(powerless.accounts?.(soon()) as Promise<unknown>),
    ];
    expect(refusals.map(({ code, reason }) => [code, reason])).toEqual([
      ['store_failed', 'error_WRONGPASS'],
      ...Array(3).fill(['store_failed', 'error_NOPERM']),
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
    const outcomes: boolean[] = [];
    for (let cutAfter = 0; cutAfter < 20 && outcomes.at(-1) !== true; cutAfter++) {
      const credential = await open(undefined, { port: proxy.port });
      const request = requestFor();
      proxy.cutAfter = cutAfter;
      const made = credential.make(request).then(
        () => true,
        () => false,
      );
      outcomes.push(await made);
      proxy.cutAfter = undefined;
      await credential.undo(leaseOf(credential, request), soon());
      expect(await users()).not.toContain(`hp_${request.id}`);
    }
    expect(outcomes.length).toBeGreaterThan(5);
    expect(outcomes.at(-1)).toBe(true);
  });

  it('speaks to a server that has no TLS only where tls is off', async () => {
    const credential = await open(undefined, { tls: 'verify' });
    // Redis waits for the rest of what it takes for a command.
    expect((await refusalOf(credential.make(requestFor({ deadline: soon(300) })))).code).toBe('store_timeout');
  });
});
