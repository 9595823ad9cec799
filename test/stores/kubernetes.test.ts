import { afterEach, describe, expect, it } from 'vitest';
import * as s from '../../src/lib/schema/index.ts';
import { Secret } from '../../src/lib/secret.ts';
import { formatName, parseName } from '../../src/stores/kubernetes/name.ts';
import { kubernetes as plugIn } from '../../src/stores/kubernetes.ts';
import { openStores, type StoresDeps } from '../../src/stores/open.ts';
import { StoreError } from '../../src/stores/store.ts';
import { describeStore, faultOf, soon } from '../contracts/store.ts';
import { makeAsserter, type Trust } from '../fakes/federation.ts';
import { type FakeKubernetes, startKubernetes } from '../fakes/kubernetes.ts';
import { storesDeps } from './deps.ts';

const open: FakeKubernetes[] = [];
afterEach(async () => {
  for (const fake of open.splice(0)) await fake.close();
});

async function house(config: Record<string, unknown> = {}, deps: Partial<StoresDeps> = {}) {
  const us = makeAsserter();
  const trust: Trust[] = [];
  const fake = await startKubernetes(trust);
  open.push(fake);
  trust.push({ issuer: us.issuer, subject: us.subject, audience: fake.url, keys: us.keys });
  const entry = s.parse(plugIn.schema, { kind: 'kubernetes', server: fake.url, namespace: 'shop', ...config });
  const all = openStores(
    { cluster: entry as { kind: 'kubernetes' } },
    storesDeps({ assertFor: (_, terms) => us.assert(terms), ...deps }),
  );
  return { fake, us, store: await all.open('cluster') };
}

const failure = (work: Promise<unknown>): Promise<StoreError> =>
  work.then(
    () => Promise.reject(new Error('it did not reject')),
    (error) => (error instanceof StoreError ? error : Promise.reject(error)),
  );

const hostile = ['app/STRIPE/more', 'APP/STRIPE', 'app/..', 'app/../x', 'app/%2e', 'app?limit=1', '-a/b', 'a..b/c'];
const traits = {
  writable: true,
  undated: 'a Secret tells when it was made',
  currentOnly: 'an API server keeps no older version of an object',
  hostile,
  never: { disabled: 'a Secret is there or it is not' },
};

const fixture = (config: Record<string, unknown>, prefix: string) => async () => {
  const { fake, store } = await house(config);
  const split = (name: string) => name.slice(prefix.length).split('/') as [string, string];
  return {
    store,
    names: {
      stripe: `${prefix}app/STRIPE`,
      alpha: `${prefix}app/ALPHA`,
      zulu: `${prefix}other.app/zulu`,
      other: `${prefix}app/OTHER`,
    },
    seed: async (name: string, value: string) => fake.set('shop', ...split(name), Buffer.from(value)),
    provoke: {
      denied: async (name: string) => void fake.denied.add(`shop/${split(name)[0]}`),
      unreachable: async () => {
        fake.server.instead = () => 'reset';
      },
      slow: async () => {
        fake.server.instead = () => 'hang';
      },
    },
  };
};

describeStore('kubernetes', traits, fixture({}, ''));
describeStore('kubernetes without a namespace', traits, fixture({ namespace: undefined }, 'shop/'));

describe('kubernetes', () => {
  it('reads a whole Secret as the JSON of its texts', async () => {
    const { fake, store } = await house();
    fake.set('shop', 'db', 'username', Buffer.from('ann'));
    const version = fake.set('shop', 'db', '__proto__', Buffer.from('not-a-key ü'));
    const found = await store.get('db', version, soon());
    expect(found.value.revealText()).toBe('{"username":"ann","__proto__":"not-a-key ü"}');
    expect(await store.describe('db', soon())).toEqual({
      name: 'db',
      version,
      createdAt: '2026-11-22T12:00:00Z',
      versions: 1,
    });
    fake.set('shop', 'db', 'bytes', Uint8Array.of(0xff));
    expect((await failure(store.get('db', undefined, soon()))).facts.reason).toBe('not_text');
    expect([...(await store.get('db/bytes', undefined, soon())).value.reveal()]).toEqual([0xff]);
  });

  it('says a key is absent without a word on the others', async () => {
    const { fake, store } = await house();
    fake.set('shop', 'db', 'a', Buffer.from('x'));
    for (const name of ['db/b', 'db/constructor', 'db/toString']) {
      const { fault, facts } = await failure(store.get(name, undefined, soon()));
      expect([fault, facts.code]).toEqual(['absent', 'NoSuchKey']);
    }
  });

  it('leaves the other keys of a Secret alone, also those written at the same time', async () => {
    const { fake, store } = await house();
    fake.set('shop', 'db', 'old', Buffer.from('kept'));
    const keys = Array.from({ length: 20 }, (_, at) => `key-${at}`);
    await Promise.all(keys.map((key) => store.put(`db/${key}`, new Secret(key), soon())));
    await store.remove('db/key-0', soon());
    expect(await store.list(soon())).toEqual([...keys.slice(1), 'old'].map((key) => `db/${key}`).sort());
    expect((await store.get('db/old', undefined, soon())).value.revealText()).toBe('kept');
    await store.remove('db', soon());
    expect(await store.list(soon())).toEqual([]);
    expect(await faultOf(store.remove('db', soon()))).toBe('absent');
  });

  it('makes a Secret once when two writers begin it, and gives up when it is always too late', async () => {
    const { fake, store } = await house();
    const written = await Promise.all([
      store.put('new/a', new Secret('1'), soon()),
      store.put('new/b', new Secret('2'), soon()),
    ]);
    expect(new Set(written.map(({ version }) => version)).size).toBe(2);
    expect(await store.list(soon())).toEqual(['new/a', 'new/b']);
    fake.server.instead = ({ method }) =>
      method === 'PATCH' ? { status: 409, body: '{"reason":"Conflict"}' } : undefined;
    const before = fake.calls.length;
    const { fault, facts } = await failure(store.put('new/a', new Secret('3'), soon()));
    expect([fault, facts]).toMatchObject(['unreachable', { step: 'write', reason: 'conflict', code: 'Conflict' }]);
    expect(fake.calls.length - before).toBe(5);
  });

  it('does not remove a key that was written since it looked', async () => {
    const { fake, store } = await house();
    fake.set('shop', 'db', 'a', Buffer.from('x'));
    let late = false;
    fake.server.instead = ({ method }) => {
      if (method === 'DELETE' && !late) {
        late = true;
        fake.set('shop', 'db', 'b', Buffer.from('y'));
      }
      return undefined;
    };
    await store.remove('db/a', soon());
    expect(late).toBe(true);
    expect(await store.list(soon())).toEqual(['db/b']);
  });

  it('leaves no empty Secret behind when another remover was at it too', async () => {
    const { fake, store } = await house();
    fake.set('shop', 'db', 'a', Buffer.from('x'));
    fake.set('shop', 'db', 'b', Buffer.from('y'));
    fake.server.instead = ({ method }) => {
      if (method === 'PATCH') fake.unset('shop', 'db', 'b');
      return undefined;
    };
    await store.remove('db/a', soon());
    expect(await faultOf(store.describe('db', soon()))).toBe('absent');
  });

  it('lists page by page, and says so when there are too many', async () => {
    const { fake, store } = await house();
    for (let at = 0; at < 45; at++) fake.set('shop', `s-${at}`, 'k', Buffer.from('x'));
    fake.set('elsewhere', 'db', 'k', Buffer.from('x'));
    expect((await store.list(soon())).length).toBe(45);
    expect(fake.calls.length).toBe(3);
    fake.server.instead = () => ({ status: 200, body: '{"metadata":{"continue":"a&b"},"items":[]}' });
    expect((await failure(store.list(soon()))).facts).toMatchObject({ step: 'list', reason: 'too_many' });
    expect(fake.calls.at(-1)?.url.searchParams.get('continue')).toBe('a&b');
    fake.server.instead = () => ({ status: 410, body: '{"reason":"Expired"}' });
    expect(await faultOf(store.list(soon()))).toBe('unreachable');
  });

  it('refuses what is no whole Secret, and values that are too large or empty', async () => {
    const { fake, store } = await house();
    expect(await faultOf(store.put('db/a', new Secret(''), soon()))).toBe('invalid');
    expect(await faultOf(store.put('db/a', new Secret(new Uint8Array(65_537)), soon()))).toBe('invalid');
    expect(await faultOf(store.put('db', new Secret('x'), soon()))).toBe('invalid');
    expect(fake.calls).toEqual([]);
    const metadata = { namespace: 'shop', name: 'db', uid: 'u', resourceVersion: '1', creationTimestamp: 'x' };
    for (const body of [{}, { metadata: {} }, { metadata, data: { a: 'no base64!' } }, { metadata, data: { a: 1 } }]) {
      fake.server.instead = () => ({ status: 200, body: JSON.stringify(body) });
      expect(await faultOf(store.get('db/a', undefined, soon()))).toBe('damaged');
    }
  });
});

describe('the bearer for an API server', () => {
  it('is one assertion for many readers, until two thirds of its life', async () => {
    let at = Date.now();
    const { fake, us, store } = await house({}, { now: () => at });
    await Promise.all(Array.from({ length: 50 }, () => store.list(soon())));
    at += 199_000;
    await store.list(soon());
    expect(us.made.map(({ aud }) => aud)).toEqual([fake.url]);
    at += 2_000;
    await store.list(soon());
    expect(us.made.length).toBe(2);
  });

  it('is made once more when it is not taken, and no further', async () => {
    const { fake, us, store } = await house();
    await store.list(soon());
    fake.refused.add((fake.calls[0]?.headers.authorization ?? '').replace('Bearer ', ''));
    await store.list(soon());
    expect(us.made.length).toBe(2);
    fake.server.instead = () => ({ status: 401, body: '{"reason":"Unauthorized","message":"canary"}' });
    const before = fake.calls.length;
    const error = await failure(store.list(soon()));
    expect([error.fault, error.facts]).toMatchObject([
      'denied',
      { step: 'list', reason: 'login_refused', status: 401, code: 'Unauthorized' },
    ]);
    expect(fake.calls.length - before).toBe(2);
  });

  it('is the projected token where a file of one is configured, read again after a minute', async () => {
    const cluster = makeAsserter({ issuer: 'https://cluster.example', subject: 'system:serviceaccount:a:b' });
    let at = Date.now();
    let token = await cluster.assert({ audience: 'x', algorithms: ['ES256'], ttl: 300 });
    let reads = 0;
    const readFile = async () => {
      reads++;
      return Buffer.from(token);
    };
    const { fake, us, store } = await house({ tokenFile: '/var/run/t' }, { readFile, now: () => at });
    fake.serviceAccounts.add(token);
    await store.list(soon());
    at += 59_000;
    await store.list(soon());
    expect(reads).toBe(1);
    const old = token;
    token = await cluster.assert({ audience: 'x', algorithms: ['ES256'], ttl: 300 });
    fake.serviceAccounts.add(token);
    at += 2_000;
    await store.list(soon());
    expect([reads, fake.calls.at(-1)?.headers.authorization]).toEqual([2, `Bearer ${token}`]);
    expect(old).not.toBe(token);
    expect(us.made).toEqual([]);
  });

  it('is never a token without an end, nor anything that is no token', async () => {
    for (const [text, reason] of [
      ['e30.e30.e30', 'static_token'],
      ['password', 'no_token'],
      ['a.b.c\r\nx: y', 'no_token'],
      ['', 'no_token'],
    ]) {
      const { fake, store } = await house({ tokenFile: '/x' }, { readFile: async () => Buffer.from(text as string) });
      expect((await failure(store.list(soon()))).facts).toMatchObject({ step: 'login', reason });
      expect(fake.calls).toEqual([]);
    }
  });

  it('is not there where nobody signs', async () => {
    const us = storesDeps();
    const entry = s.parse(plugIn.schema, { kind: 'kubernetes', server: 'https://k8s.example' });
    const store = await openStores({ cluster: entry as { kind: 'kubernetes' } }, us).open('cluster');
    expect((await failure(store.list(soon()))).facts.reason).toBe('no_identity');
  });
});

describe('an API server in trouble', () => {
  it.each([
    [
      '429 with Retry-After',
      { status: 429, headers: { 'retry-after': '3' }, body: '{"reason":"TooManyRequests"}' },
      'throttled',
      { retryAfter: 3, code: 'TooManyRequests' },
    ],
    ['503', { status: 503, body: '{"reason":"ServiceUnavailable"}' }, 'unreachable', { reason: 'server_error' }],
    ['403', { status: 403, body: '{"reason":"Forbidden","message":"canary"}' }, 'denied', { code: 'Forbidden' }],
    [
      'a redirect',
      { status: 301, headers: { location: 'http://127.0.0.1:1/' } },
      'unreachable',
      { reason: 'redirect' },
    ],
    ['text that is no JSON', { status: 200, body: 'ok' }, 'unreachable', { reason: 'not_json' }],
    ['a body cut short', 'cut', 'unreachable', { reason: 'truncated' }],
    ['a body too large', { status: 200, body: `"${'x'.repeat(2_100_000)}"` }, 'unreachable', { reason: 'too_large' }],
    ['no connection', 'reset', 'unreachable', {}],
  ] as const)('%s', async (_, answer, fault, facts) => {
    const { store, fake } = await house();
    await store.list(soon());
    fake.server.instead = () => answer;
    const error = await failure(store.get('db/a', undefined, soon()));
    expect(error.fault).toBe(fault);
    expect(error.facts).toMatchObject({ step: 'read', ...facts });
    expect(JSON.stringify(error)).not.toContain('canary');
  });
});

describe('the name of a Kubernetes secret', () => {
  it.each([
    ['db', 'shop', { namespace: 'shop', secret: 'db' }],
    ['db/tls.crt', 'shop', { namespace: 'shop', secret: 'db', key: 'tls.crt' }],
    ['a/b/c', 'shop', undefined],
    ['shop/db', undefined, { namespace: 'shop', secret: 'db' }],
    ['shop/db/a_B', undefined, { namespace: 'shop', secret: 'db', key: 'a_B' }],
    ['db', undefined, undefined],
    ['shop/db/', undefined, undefined],
    ['shop/db/k/more', undefined, undefined],
    ['my.ns/db', undefined, undefined],
    [`${'x'.repeat(64)}/db`, undefined, undefined],
    ['a.b-c.d', 'shop', { namespace: 'shop', secret: 'a.b-c.d' }],
    ['a-', 'shop', undefined],
    ['db/..k', 'shop', undefined],
    ['db/.', 'shop', undefined],
  ])('%j with namespace %j', (name, namespace, parsed) => {
    expect(parseName(name, namespace)).toEqual(parsed);
    if (parsed !== undefined) expect(formatName(parsed, namespace)).toBe(name);
  });
});

describe('the config of a Kubernetes store', () => {
  it('takes an https server, no token, and says what the assertion is for', () => {
    const parse = (more: Record<string, unknown>) =>
      s.safeParse(plugIn.schema, { kind: 'kubernetes', server: 'https://k8s.example', ...more });
    expect(parse({ token: 'x' }).success).toBe(false);
    expect(parse({ server: 'http://k8s.example' }).success).toBe(false);
    expect(parse({ namespace: 'A' }).success).toBe(false);
    expect(parse({ namespace: 'a/b' }).success).toBe(false);
    expect(plugIn.assertion?.(parse({}).data)).toEqual({
      audience: 'https://k8s.example',
      algorithms: ['ES256', 'RS256'],
      ttl: 300,
    });
    expect(plugIn.assertion?.(parse({ audience: 'k8s' }).data)?.audience).toBe('k8s');
    expect(plugIn.assertion?.(parse({ tokenFile: '/x' }).data)).toBeUndefined();
  });
});
