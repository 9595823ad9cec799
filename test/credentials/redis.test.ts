import { createHash } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { TargetCredential } from '../../src/credentials/kind.ts';
import { encodeCommand, openParser, RedisError, RespError } from '../../src/credentials/redis/resp.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { depsFor, describeKind, faultsOf, openKind, refusalOf, requestFor } from '../contracts/kind.ts';
import { bulk, type FakeRedis, startFakeRedis } from '../fakes/redis.ts';

const soon = (ms = 5_000) => deadlineIn(ms, Date.now);
const rules = ['~orders:*', '+@read'];
const deps = () => depsFor({ ADMIN: '{"username":"maker","password":"not-a-real-password"}' });
const entryAt = (port: number, more = {}) => ({
  kind: 'redis',
  host: '127.0.0.1',
  port,
  admin: { store: 'vars', name: 'ADMIN' },
  rules,
  ...more,
});
const open = async (port: number, more = {}) => (await openKind(entryAt(port, more), deps())) as TargetCredential;

const fakes: FakeRedis[] = [];
afterEach(() => {
  for (const fake of fakes.splice(0)) fake.close();
});

async function serve(answer?: (command: string, socket: Socket) => string | undefined) {
  const fake = await startFakeRedis(answer);
  fakes.push(fake);
  return fake;
}

describeKind(
  'redis',
  { members: ['host', 'port', 'username', 'password', 'url'], fingerprinted: 'password' },
  async () => ({ entry: entryAt((await serve()).port), deps: deps() }),
);

describe('redis', () => {
  it('makes a user by one command, after its connection has said which', async () => {
    const fake = await serve();
    const request = requestFor();
    const { data } = await (await open(fake.port)).make(request);
    const digest = createHash('sha256').update(String(data.password)).digest('hex');
    const name = `hp_${request.id}`;
    expect(fake.heard).toEqual([
      'AUTH maker not-a-real-password',
      `CLIENT SETNAME ${name}`,
      `ACL SETUSER ${name} reset resetchannels on #${digest} ~orders:* +@read &hallpass:it`,
    ]);
  });

  it('looks again after it has ended what it found', async () => {
    const { id } = requestFor();
    let lists = [
      `id=4 name=x user=hp_${id}\nid=5 name=hp_${id} user=maker\nid=6 name=hp_${id} user=other\n`,
      `id=5 name=hp_${id} user=maker\n`,
      'id=6 name= user=other\n',
    ];
    const fake = await serve((command) => {
      if (command !== 'CLIENT LIST') return undefined;
      const [list = '', ...later] = lists;
      lists = later;
      return bulk(list);
    });
    await (await open(fake.port)).undo({ issuance: id }, soon());
    expect(fake.heard.slice(1)).toEqual([
      `ACL DELUSER hp_${id}`,
      'CLIENT LIST',
      'CLIENT KILL ID 4',
      'CLIENT KILL ID 5',
      `ACL DELUSER hp_${id}`,
      'CLIENT LIST',
      'CLIENT KILL ID 5',
      `ACL DELUSER hp_${id}`,
      'CLIENT LIST',
    ]);
  });

  it('says an account is gone only when nobody is logged in as it', async () => {
    const { id } = requestFor();
    const fake = await serve((command) => (command === 'CLIENT LIST' ? bulk(`id=4 user=hp_${id}\n`) : undefined));
    const refusal = await refusalOf((await open(fake.port)).undo({ issuance: id }, soon(300)));
    expect([refusal.code, refusal.reason]).toEqual(['store_timeout', 'slow']);
  });

  it('takes no issuance id that is none, nor a lease of another’s account', async () => {
    const credential = await open(9);
    expect((await refusalOf(() => credential.account('x on nopass'))).reason).toBe('bad_account');
    const lease = { issuance: requestFor().id, account: 'default' };
    expect((await refusalOf(credential.undo(lease, soon()))).reason).toBe('bad_account');
  });

  it('ends no account of ours that is another issuance’s', async () => {
    const fake = await serve();
    const credential = await open(fake.port);
    const { id } = requestFor();
    const refusal = await refusalOf(credential.undo({ issuance: requestFor().id, account: `hp_${id}` }, soon()));
    expect(refusal).toMatchObject({ code: 'store_failed', reason: 'bad_account' });
    expect(fake.heard).toEqual([]);
  });
});

describe('redis, when the server', () => {
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
    await expect.poll(() => sockets.every(({ destroyed }) => destroyed)).toBe(true);
    stop();
  });

  it('lets in no more than eight at a time, and the rest give up by their own deadline', async () => {
    const { port, sockets, stop } = await listen(() => {});
    const credential = await open(port);
    const within = (ms: number) => refusalOf(credential.make(requestFor({ deadline: soon(ms) })));
    const inside = Array.from({ length: 8 }, () => within(2_000));
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
    ['answers before it is asked', (socket: Socket) => void socket.write('+OK\r\n'.repeat(9))],
    ['says a length that is none', (socket: Socket) => void socket.write('$1e3\r\n')],
    ['says a length below nothing', (socket: Socket) => void socket.write('*-2\r\n')],
    ['says more than it may', (socket: Socket) => void socket.write(Buffer.alloc(17 * 1024 * 1024, '+'))],
    ['answers too deep', (socket: Socket) => void socket.write('*1\r\n'.repeat(9))],
    ['resets', (socket: Socket) => void socket.resetAndDestroy()],
  ])('%s, says store_failed at once', async (_, onSocket) => {
    const { port, stop } = await listen(onSocket);
    const refusal = await refusalOf((await open(port)).make(requestFor()));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'unreachable']);
    expect(`${refusal.stack}`).not.toContain('canary');
    stop();
  });

  it.each([
    ['-WRONGPASS canary of the server\r\n', 'error_WRONGPASS'],
    ['-NOPERM canary\r\n', 'error_NOPERM'],
    ['-LOADING canary\r\n', 'error_LOADING'],
    ['-canary says so\r\n', 'error_unknown'],
    [`-${'CANARY'.repeat(9)}\r\n`, 'error_unknown'],
  ])('answers %j, says store_failed and the code alone', async (bytes, reason) => {
    for (const at of ['AUTH', 'CLIENT SETNAME', 'ACL SETUSER']) {
      const fake = await serve((command) => (command.startsWith(at) ? bytes : undefined));
      const refusal = await refusalOf((await open(fake.port)).make(requestFor()));
      expect([refusal.code, refusal.reason]).toEqual(['store_failed', reason]);
      expect(`${refusal.stack}${JSON.stringify(refusal.options)}`).not.toMatch(/canary/i);
    }
  });

  it('hangs up at any step, leaves what undo ends', async () => {
    for (const at of ['AUTH', 'CLIENT SETNAME', 'ACL SETUSER']) {
      let failing = true;
      const fake = await serve((command, socket) => {
        if (failing && command.startsWith(at)) socket.destroy();
        return undefined;
      });
      const credential = await open(fake.port);
      const request = requestFor();
      expect((await refusalOf(credential.make(request))).code).toBe('store_failed');
      // What came in is done, though nobody was told.
      expect([...fake.users.keys()]).toEqual(at === 'ACL SETUSER' ? [`hp_${request.id}`] : []);
      failing = false;
      await credential.undo({ issuance: request.id }, soon());
      expect(fake.users.size).toBe(0);
    }
  });

  it('gives what is no list of users or clients, believes nothing', async () => {
    const fake = await serve((command) => (command.endsWith('LIST') ? ':1\r\n' : undefined));
    const credential = await open(fake.port);
    const refusals = [
      await refusalOf(credential.accounts?.(soon()) as Promise<unknown>),
      await refusalOf(credential.undo({ issuance: requestFor().id }, soon())),
    ];
    expect(refusals.map(({ reason }) => reason)).toEqual(['unreachable', 'unreachable']);
  });

  it('has no TLS, shows it no password where tls is not off', async () => {
    const { port, stop } = await listen((socket) => void socket.end('-ERR\r\n'));
    const refusal = await refusalOf((await open(port, { tls: 'verify' })).make(requestFor()));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'unreachable']);
    stop();
  });

  it.each(['not json', '{}', '{"username":"u"}', '{"username":1,"password":"p"}', '{"username":"","password":"p"}'])(
    'is never asked with the admin %j',
    async (admin) => {
      const credential = (await openKind(entryAt(9), depsFor({ ADMIN: admin }))) as TargetCredential;
      expect((await refusalOf(credential.make(requestFor()))).reason).toBe('bad_admin');
    },
  );
});

describe('RESP', () => {
  it('writes a command whose words hold what ends a line elsewhere', () => {
    expect(encodeCommand(['GET', 'ä\r\n$1']).toString()).toBe('*2\r\n$3\r\nGET\r\n$6\r\nä\r\n$1\r\n');
  });

  it('reads replies however the bytes are cut', () => {
    const text = `+OK\r\n:-3\r\n${bulk('ä\r\n')}$-1\r\n*-1\r\n*0\r\n*3\r\n+a\r\n*2\r\n*0\r\n$0\r\n\r\n:1\r\n-ERR no\r\n+\r\n`;
    const expected = ['OK', -3, 'ä\r\n', null, null, [], ['a', [[], ''], 1], expect.any(RedisError), ''];
    const bytes = Buffer.from(text);
    for (const step of [1, 2, 3, 7, bytes.length]) {
      const parser = openParser();
      const replies = [];
      for (let at = 0; at < bytes.length; at += step) replies.push(...parser.take(bytes.subarray(at, at + step)));
      expect(replies).toEqual(expected);
    }
  });

  it('takes as long for a large reply in small pieces as its size asks', () => {
    const parser = openParser();
    const bytes = Buffer.from(`*100000\r\n${':1\r\n'.repeat(100_000)}`);
    let replies: readonly unknown[] = [];
    for (let at = 0; at < bytes.length; at += 64) replies = parser.take(bytes.subarray(at, at + 64));
    expect(replies[0]).toHaveLength(100_000);
  });

  it.each(['\r\n', '?\r\n', ':\r\n', ':1.5\r\n', ':99999999999999999\r\n', '$3\r\nabcd\r\n', '*1\r\n'.repeat(5)])(
    'refuses %j',
    (text) => expect(() => openParser().take(Buffer.from(text))).toThrow(RespError),
  );

  it('refuses a line or a reply without an end', () => {
    expect(() => openParser().take(Buffer.alloc(70_000, '+'))).toThrow(RespError);
    const parser = openParser();
    const mebibyte = Buffer.from(bulk('x'.repeat(1024 * 1024)));
    parser.take(Buffer.from('*99\r\n'));
    expect(() => Array.from({ length: 20 }, () => parser.take(mebibyte))).toThrow(RespError);
  });
});

describe('redis’ config', () => {
  const entry = { ...entryAt(6379), host: 'cache.example.com' };

  it.each([
    {},
    { tls: 'verify' },
    { port: 6380 },
    { database: 0 },
    { host: '127.0.0.1', tls: 'off' },
    { host: '10.0.0.1' },
    { ttl: '15m' },
    { rules: ['%R~a', '%W~b', '%RW~c', '&news', '+get', '-set', '+@hash', '-@dangerous', '+client|setname'] },
    { rules: ['~*', '+@all', '-@admin'] },
    { rules: ['allkeys', 'allcommands', '-@dangerous'] },
    { rules: ['~*', '+@slow', '-@admin'] },
    { rules: ['~*', '+@connection', '-@dangerous'] },
    { rules: ['~*', '+client', '-@admin'] },
    { rules: ['&news.*', '+subscribe'] },
  ])('takes %j', (more) => expect(faultsOf({ ...entry, ...more })).toEqual([]));

  it.each([
    { tls: 'off' },
    { host: '127.0.0.1.evil.example', tls: 'off' },
    { host: '/run/redis.sock' },
    { port: 65_536 },
    { database: -1 },
    { database: '0' },
    { admin: 'default' },
    { rules: undefined },
    { rules: [] },
    { rules: ['+get'] },
    { rules: ['~a'] },
    { rules: ['~a', '-get'] },
  ])('refuses %j', (more) => expect(faultsOf({ ...entry, ...more })).not.toEqual([]));

  it.each([
    ...['on', 'off', 'reset', 'resetpass', 'resetkeys', 'resetchannels', 'nopass', 'clearselectors', 'nocommands'],
    ...['>password', '<password', `#${'0'.repeat(64)}`, `!${'0'.repeat(64)}`, 'sanitize-payload'],
    ...['', '~', '~a b', '~a\n+acl', '~ä', '+', '+@', '+get on', '(+get ~a)', '+get\0', `~${'a'.repeat(256)}`],
    ...['+acl', '+ACL|SETUSER', '+config', '+config|set', '+@admin', '+@DANGEROUS', '+module', '+replicaof', '+debug'],
    ...['+@all', 'allcommands', '+monitor', '+@slow', '+@SLOW'],
    ...['+@connection', '+client', '+CLIENT|KILL', '+client|pause'],
  ])('refuses the rule %j', (rule) => expect(faultsOf({ ...entry, rules: ['~a', '+get', rule] })).not.toEqual([]));

  it('wants what takes the rule over the server away again after all else', () => {
    for (const rule of ['+@all', '+@slow', '+@connection', '+client'])
      expect(faultsOf({ ...entry, rules: ['~a', '-@admin', '-@dangerous', rule] })).not.toEqual([]);
  });
});
