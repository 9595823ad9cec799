import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { Secret } from '../../src/lib/secret.ts';
import { type Store, StoreError } from '../../src/stores/store.ts';
import type { RealPostgres } from '../real-servers/postgres.ts';
import type { OpenBroker } from '../support/broker.ts';
import { temporaryFolder } from '../support/server.ts';
import {
  begin,
  credential,
  enter,
  envOf,
  type Login,
  newIssuer,
  openRotating,
  rotatedConfig,
  soon,
  startTurns,
  steps,
  stored,
} from './rig.ts';

const hour = 3_600_000;
let postgres: RealPostgres;
let gate: Server;
let gatePort: number;
/** Told of every connection that goes through the gate, and of what clients send; true cuts it. */
let onConnect: (count: number) => boolean;
let onSent: (text: string) => boolean;
let connections: number;
const open: (() => Promise<void>)[] = [];
let folder: string;
let shift = 0;
const now = () => Date.now() + shift;
const issuer = newIssuer(now);

beforeAll(async () => {
  postgres = await startTurns();
  gate = createServer((socket) => {
    const onward: Socket = connect(postgres.port, '127.0.0.1');
    const cut = () => {
      socket.destroy();
      onward.destroy();
    };
    for (const end of [socket, onward]) end.on('error', cut).on('close', cut);
    if (onConnect(++connections)) return cut();
    socket.on('data', (bytes) => (onSent(bytes.toString('latin1')) ? cut() : onward.write(bytes)));
    onward.pipe(socket);
  });
  await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve));
  gatePort = (gate.address() as AddressInfo).port;
}, 60_000);
afterAll(async () => {
  gate?.close();
  await postgres?.remove();
});
beforeEach(() => {
  const made = temporaryFolder();
  folder = made.folder;
  open.push(async () => made.remove());
  connections = 0;
  shift = 0;
  onConnect = () => false;
  onSent = () => false;
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function openOne(
  more: Parameters<typeof rotatedConfig>[3] = {},
  admin?: Login,
  port = gatePort,
): Promise<OpenBroker> {
  const broker = await openRotating(rotatedConfig(folder, issuer, port, more), folder, { now, env: envOf(admin) });
  open.push(() => broker.deployment.close());
  return broker;
}

/** One that has a first value, old enough to be rotated. */
async function openOld(...about: Parameters<typeof openOne>): Promise<{ broker: OpenBroker; login: Login }> {
  const broker = await openOne(...about);
  const login = await begin(postgres, broker);
  shift += 2 * hour;
  return { broker, login };
}

const rotate = ({ deployment }: OpenBroker, force = false) => deployment.rotate(credential, soonNow(), { force });
const soonNow = () => {
  const deadline = soon();
  // The clock of the deployment is ahead of ours.
  return deadlineAt(deadline.at + shift);
};
const deadlineAt = (at: number) => ({
  at,
  left: () => Math.max(0, at - now()),
  within: (ms: number, reserve = 0): ReturnType<typeof soon> => deadlineAt(Math.min(at - reserve, now() + ms)),
});
const refusal = (work: Promise<unknown>): Promise<Refusal> =>
  work.then(
    () => Promise.reject(new Error('was not refused')),
    (error) => (error instanceof Refusal ? error : Promise.reject(error)),
  );
const entersAs = (login: Login) => enter(postgres.port, login);
const storeOf = ({ deployment }: OpenBroker): Promise<Store> => deployment.openStore('here');

describe('rotation of a login', () => {
  it('lets two users take turns: the next works before it is stored, and the one before goes on working', async () => {
    const { broker, login } = await openOld();
    expect(await rotate(broker)).toEqual({ credential, version: '2', previous: '1' });
    const second = await stored(broker);
    expect(second.username).toBe('orders_b');
    expect(second.password).toMatch(/^[\w-]{43}$/);
    expect(await entersAs(second)).toBe('orders_b');
    expect(await entersAs(login)).toBe('orders_a');
    expect(await steps(broker)).toEqual(['started 1', 'set', 'tried', 'store-write 2', 'current 2']);

    shift += 2 * hour;
    expect(await rotate(broker)).toEqual({ credential, version: '3', previous: '2' });
    const third = await stored(broker);
    expect(third.username).toBe('orders_a');
    expect(await entersAs(third)).toBe('orders_a');
    expect(await entersAs(second)).toBe('orders_b');
    await expect(entersAs(login)).rejects.toMatchObject({ code: '28P01' });
    for (const { password } of [second, third]) expect(postgres.log()).not.toContain(password);
    expect(broker.deployment.metrics.render()).toContain(
      `hallpass_rotations_total{credential="${credential}",outcome="done"} 2`,
    );
  });

  it('makes the first value itself where an admin is named, and says what is missing where none is', async () => {
    const first = await openOne();
    expect(await rotate(first)).toEqual({ credential, version: '1' });
    expect(await entersAs(await stored(first))).toBe('orders_a');

    const { folder: another, remove } = temporaryFolder();
    open.push(async () => remove());
    folder = another;
    const alone = await openOne({ rotate: { admin: undefined } });
    const { code, reason, options } = await refusal(rotate(alone));
    expect([code, reason]).toEqual(['not_found', 'nothing_stored']);
    expect(options.hint).toMatch(/admin/);
  });

  it('needs no admin where each of the two may change the other, and its own session survives', async () => {
    await postgres.sql(`ALTER ROLE orders_a SUPERUSER; ALTER ROLE orders_b SUPERUSER;
      ALTER ROLE orders_a RESET role; ALTER ROLE orders_b RESET role`);
    try {
      const { broker } = await openOld({ rotate: { admin: undefined } });
      await rotate(broker);
      expect(await entersAs(await stored(broker))).toBe('orders_b');
      shift += 2 * hour;
      await rotate(broker);
      expect(await entersAs(await stored(broker))).toBe('orders_a');
    } finally {
      await postgres.sql(`ALTER ROLE orders_a NOSUPERUSER; ALTER ROLE orders_b NOSUPERUSER;
        ALTER ROLE orders_a SET role = orders_rw; ALTER ROLE orders_b SET role = orders_rw`);
    }
  });

  it('follows on the same value with the same password, so that a late write of an attempt before is a good one', async () => {
    const { broker } = await openOld();
    const store = await storeOf(broker);
    const { put } = store;
    let late: Secret | undefined;
    store.put = async (_, value) => {
      late = value;
      throw new StoreError('slow');
    };
    expect(await refusal(rotate(broker))).toMatchObject({ code: 'store_timeout', reason: 'store_slow' });
    store.put = put;
    await rotate(broker);
    await store.put('orders', late as Secret, soonNow());
    const last = await stored(broker);
    expect(last.version).toBe('3');
    expect(await entersAs(last)).toBe('orders_b');
  });
});

describe('what was handed out before', () => {
  it('is kept for the longest lease of it and the cache, unless by force', async () => {
    const { broker } = await openOld();
    await rotate(broker);
    const before = await stored(broker);
    // maxTtl of what reads it is 1 h, its store caches for 60 s; the 10 h of another credential do not count.
    shift += hour + 50_000;
    const { code, reason, options } = await refusal(rotate(broker));
    expect([code, reason]).toEqual(['rate_limited', 'in_use']);
    expect(options.retryAfter).toBeGreaterThan(0);
    expect(options.retryAfter).toBeLessThanOrEqual(10);
    expect(await stored(broker)).toEqual(before);
    expect((await rotate(broker, true)).version).toBe('3');
    shift += hour + 61_000;
    expect((await rotate(broker)).version).toBe('4');
    expect(await steps(broker)).not.toContain('failed in_use');
  });

  it('is kept where the store does not tell since when the value is current', async () => {
    const { broker } = await openOld();
    const store = await storeOf(broker);
    const { describe: tell } = store;
    store.describe = async (...about) => {
      const { createdAt: _, ...told } = await tell(...about);
      return told;
    };
    expect(await refusal(rotate(broker))).toMatchObject({ code: 'store_failed', reason: 'undated' });
    expect((await rotate(broker, true)).version).toBe('2');
  });
});

describe('several at once', () => {
  it('rotate once: each waits for its turn, and is told what the first made', async () => {
    const brokers = [
      (await openOld()).broker,
      await openOne(),
      await openOne({ rotate: { users: ['orders_b', 'orders_a'] } }),
    ];
    const reports = await Promise.all([...brokers, ...brokers].map((broker) => rotate(broker)));
    expect(new Set(reports.map(({ version }) => version))).toEqual(new Set(['2']));
    const last = await stored(brokers[0] as OpenBroker);
    expect(last.version).toBe('2');
    expect(await entersAs(last)).toBe('orders_b');
    expect(await steps(brokers[0] as OpenBroker)).toEqual(['started 1', 'set', 'tried', 'store-write 2', 'current 2']);
  });

  it('does not take a version that another write beside the value has made for a rotation', async () => {
    const { broker, login } = await openOld();
    const store = await storeOf(broker);
    const { get } = store;
    // As Kubernetes does, when somebody writes another key of the same Secret or a label of it.
    let writes = 0;
    store.get = async (...about) => ({ ...(await get(...about)), version: `resource-${++writes}` });
    expect(await rotate(broker)).toMatchObject({ version: '2', previous: 'resource-2' });
    store.get = get;
    expect((await stored(broker)).password).not.toBe(login.password);
    expect(await entersAs(await stored(broker))).toBe('orders_b');
    expect(await steps(broker)).toEqual(['started resource-2', 'set', 'tried', 'store-write 2', 'current 2']);
  });

  it('by force, again and again, leave at every moment a value that works', async () => {
    const brokers = [(await openOld()).broker, await openOne()] as const;
    let over = false;
    let looks = 0;
    const look = async () => {
      for (; !over; looks++) {
        const one = await stored(brokers[0]);
        const works = await entersAs(one).catch(() => undefined);
        // Between reading and trying it another two rotations may have gone by.
        if (works === undefined)
          expect(Number((await stored(brokers[0])).version)).toBeGreaterThan(Number(one.version) + 1);
      }
    };
    const looking = look();
    for (let round = 0; round < 6; round++) await Promise.all(brokers.map((broker) => rotate(broker, true)));
    over = true;
    await looking;
    expect(looks).toBeGreaterThan(5);
    expect(await entersAs(await stored(brokers[1]))).toMatch(/^orders_[ab]$/);
  });

  it('does not write where its lock was lost with its session', async () => {
    const { broker, login } = await openOld();
    const { ledger } = broker.deployment;
    const { append } = ledger;
    ledger.append = async (request, deadline) => {
      if (request.entries.some(({ record }) => record.includes('"step":"tried"')))
        await postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keeper'");
      return append(request, deadline);
    };
    const { reason } = await refusal(rotate(broker));
    expect(reason).toMatch(/^(unreachable|sqlstate_57P01)$/);
    expect(await stored(broker)).toMatchObject({ ...login, version: '1' });
    expect(await entersAs(login)).toBe('orders_a');
    expect((await steps(broker)).slice(-2)).toEqual(['tried', `failed ${reason}`]);
  });
});

describe('what goes wrong', () => {
  it.each([
    [
      'cannot be reached',
      () => {
        onConnect = () => true;
      },
      'unreachable',
      [],
    ],
    [
      'goes before the password is set',
      () => {
        onSent = (text) => text.includes('ALTER ROLE');
      },
      'unreachable',
      ['started 1'],
    ],
    [
      'goes before it is tried',
      () => {
        onConnect = (count) => count === 2;
      },
      'unreachable',
      ['started 1', 'set'],
    ],
    [
      'goes before it is stored',
      () => {
        onSent = (text) => text.includes('pg_locks');
      },
      'unreachable',
      ['started 1', 'set', 'tried'],
    ],
  ] as const)(
    'leaves the stored value as it is when the target %s, and goes on the next time',
    async (_, fail, reason, recorded) => {
      const { broker, login } = await openOld();
      fail();
      expect(await refusal(rotate(broker))).toMatchObject({ code: 'store_failed', reason });
      expect(await steps(broker)).toEqual([...recorded, `failed ${reason}`]);
      expect(await stored(broker)).toMatchObject({ ...login, version: '1' });
      expect(await entersAs(login)).toBe('orders_a');
      onConnect = () => false;
      onSent = () => false;
      expect((await rotate(broker)).version).toBe('2');
      expect(await entersAs(await stored(broker))).toBe('orders_b');
    },
  );

  it('says so when it is stored and the target goes before it is tried once more, and it works all the same', async () => {
    const { broker } = await openOld();
    onConnect = (count) => count >= 3;
    onSent = () => connections >= 3;
    expect((await refusal(rotate(broker))).code).toBe('store_failed');
    expect(await stored(broker)).toMatchObject({ username: 'orders_b', version: '2' });
    expect((await steps(broker)).slice(-2)).toEqual(['store-write 2', 'failed unreachable']);
    expect(await entersAs(await stored(broker))).toBe('orders_b');
  });

  it('sets it again when somebody changed it at the target while it was stored', async () => {
    const { broker } = await openOld();
    const store = await storeOf(broker);
    const { put } = store;
    store.put = async (...what) => {
      const done = await put(...what);
      await postgres.sql("ALTER ROLE orders_b PASSWORD 'somebody-elses'");
      return done;
    };
    expect((await rotate(broker)).version).toBe('2');
    expect(await entersAs(await stored(broker))).toBe('orders_b');
  });

  it.each(['read_only', 'denied', 'unreachable'] as const)(
    'leaves the current value when the store is %s',
    async (fault) => {
      const { broker, login } = await openOld();
      const store = await storeOf(broker);
      const { put } = store;
      store.put = () => Promise.reject(new StoreError(fault));
      expect(await refusal(rotate(broker))).toMatchObject({ code: 'store_failed', reason: `store_${fault}` });
      expect(await entersAs(login)).toBe('orders_a');
      expect((await steps(broker)).slice(-2)).toEqual(['tried', `failed store_${fault}`]);
      store.put = put;
      expect((await rotate(broker)).version).toBe('2');
    },
  );

  it.each([
    ['has another password', { username: 'keeper', password: 'wrong' }, 'sqlstate_28P01'],
    ['may not change it', { username: 'powerless', password: 'not-real-either' }, 'sqlstate_42501'],
    ['is one of the two that take turns', { username: 'orders_b', password: 'any' }, 'bad_admin'],
  ])('leaves the current value when the admin %s', async (_, admin, reason) => {
    const { broker, login } = await openOld({}, admin);
    expect(await refusal(rotate(broker))).toMatchObject({ code: 'store_failed', reason });
    expect(await stored(broker)).toMatchObject({ ...login, version: '1' });
    expect(await entersAs(login)).toBe('orders_a');
    expect(broker.deployment.metrics.render()).toContain(
      `hallpass_rotations_total{credential="${credential}",outcome="failed"} 1`,
    );
  });

  it.each(['no json', '{"username":"somebody_else","password":"x"}'])('does not write over %s', async (value) => {
    const broker = await openOne();
    await (await storeOf(broker)).put('orders', new Secret(value), soonNow());
    expect(await refusal(rotate(broker, true))).toMatchObject({ code: 'store_failed', reason: 'bad_value' });
    expect(connections).toBe(0);
  });

  it('leaves the current value when nothing can be recorded', async () => {
    const { broker, login } = await openOld();
    for (let step = 0; step < 3; step++) {
      const { ledger } = broker.deployment;
      const { append } = ledger;
      let before = step;
      ledger.append = (...entry) =>
        before-- > 0 ? append(...entry) : Promise.reject(new Refusal('ledger_unavailable', 'timeout'));
      expect((await refusal(rotate(broker))).code).toBe('ledger_unavailable');
      ledger.append = append;
      expect(await stored(broker)).toMatchObject({ ...login, version: '1' });
      expect(await entersAs(login)).toBe('orders_a');
    }
  });
});

describe('on schedule', () => {
  it('rotates what is due, looks once in ten minutes, and keeps what may be in use', async () => {
    const broker = await openOne({ rotate: { every: '1h' } });
    await begin(postgres, broker);
    const { recover } = broker.deployment;
    shift += hour - 60_000;
    await recover(soonNow());
    expect((await stored(broker)).version).toBe('1');
    shift += 3 * 60_000;
    await recover(soonNow());
    expect((await stored(broker)).version).toBe('1');
    shift += 10 * 60_000;
    await recover(soonNow());
    expect((await stored(broker)).version).toBe('2');
    expect(await entersAs(await stored(broker))).toBe('orders_b');
    await recover(soonNow());
    shift += 61 * 60_000;
    await recover(soonNow());
    expect((await stored(broker)).version).toBe('3');
  });

  it('rotates also where what is to be undone takes all the time that it may', async () => {
    const config = rotatedConfig(folder, issuer, gatePort, {});
    const credentials = config.credentials as Record<string, unknown>;
    credentials.session = { kind: 'secret', store: 'here', name: 'session', rotate: { kind: 'generate', every: '1h' } };
    const broker = await openRotating(config, folder, { now });
    open.push(() => broker.deployment.close());
    await (await storeOf(broker)).put('session', new Secret('first'), soonNow());
    const ledger = broker.deployment.ledger as { pending: Ledger['pending'] };
    ledger.pending = (_, deadline) =>
      new Promise((_done, reject) =>
        setTimeout(() => reject(new Refusal('ledger_unavailable', 'timeout')), deadline.left()),
      );
    shift += 2 * hour;
    await expect(broker.deployment.recover(deadlineIn(20_000, now))).rejects.toThrow('ledger_unavailable');
    expect((await (await storeOf(broker)).get('session', undefined, soonNow())).version).toBe('2');
  });

  it('logs what fails, and rotates the others all the same', async () => {
    const logged: unknown[] = [];
    const config = rotatedConfig(folder, issuer, gatePort, { rotate: { every: '1h' } });
    const credentials = config.credentials as Record<string, unknown>;
    credentials.session = { kind: 'secret', store: 'here', name: 'session', rotate: { kind: 'generate', every: '1h' } };
    const broker = await openRotating(config, folder, { now, log: (...line) => logged.push(line) });
    open.push(() => broker.deployment.close());
    await begin(postgres, broker);
    await (await storeOf(broker)).put('session', new Secret('first'), soonNow());
    shift += 2 * hour;
    onConnect = () => true;
    await broker.deployment.recover(soonNow());
    expect(logged).toContainEqual(['error', 'rotation_failed', { credential, reason: 'unreachable' }]);
    const { value, version } = await (await storeOf(broker)).get('session', undefined, soonNow());
    expect(version).toBe('2');
    expect(value.revealText()).toMatch(/^[\w-]{43}$/);
  });
});

describe('over HTTP', () => {
  /** The requests that rotations are recorded to have come from. */
  const requests = async ({ deployment }: OpenBroker) => {
    const entries = (await deployment.ledger.reader?.list({ limit: 100 }, soonNow())) ?? [];
    const records = entries.map(({ record }) => JSON.parse(record));
    return new Set(records.filter(({ type }) => type === 'rotation').map(({ request }) => request));
  };

  it('is for who may rotate secrets, and nobody else learns what there is', async () => {
    const { broker } = await openOld();
    const ask = (subject: string, name = credential, body?: object) =>
      broker.send(`/v1/credentials/${name}/rotate`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${issuer.token({ sub: subject })}`,
          ...(body && { 'content-type': 'application/json' }),
        },
        ...(body && { body: JSON.stringify(body) }),
      });
    for (const name of [credential, 'no-such']) expect((await ask('svc:checkout', name)).status).toBe(403);
    const answer = await ask('svc:operator');
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({ credential, version: '2', previous: '1' });
    expect(await requests(broker)).toEqual(new Set([answer.headers.get('x-request-id')]));
    const again = await ask('svc:operator');
    expect(again.status).toBe(429);
    expect(Number(again.headers.get('retry-after'))).toBeGreaterThan(3500);
    expect(await again.json()).toMatchObject({ code: 'rate_limited', hint: expect.stringContaining('by force') });
    expect(await (await ask('svc:operator', credential, { force: true })).json()).toMatchObject({ version: '3' });
    for (const name of ['orders-db', 'no-such', 'a%2Fb']) expect((await ask('svc:operator', name)).status).toBe(404);
    expect((await ask('svc:operator', credential, { forced: true })).status).toBe(400);
  });

  it('gives clients of the static mode what works, from a cache as well', async () => {
    const { broker } = await openOld({
      stores: {
        here: { kind: 'local', path: join(folder, 'store'), cache: '10m' },
        vars: { kind: 'env', prefix: 'TEST_SECRET_' },
      },
    });
    const ask = async (): Promise<Login> =>
      (await (await broker.ask('/v1/credentials/orders-db', issuer.token())).json()).data;
    const before = await ask();
    await rotate(broker);
    const cached = await ask();
    expect(cached.password).toBe(before.password);
    expect(await entersAs(cached)).toBe('orders_a');
    shift += 11 * 60_000;
    expect(await entersAs(await ask())).toBe('orders_b');
    expect(await entersAs(before)).toBe('orders_a');
  });
});
