import { afterEach, describe, expect, it } from 'vitest';
import * as s from '../../src/lib/schema/index.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import { openVault } from '../../src/sessions/vault.ts';
import { openStores, type StoresDeps } from '../../src/stores/open.ts';
import type { Store } from '../../src/stores/store.ts';
import { StoreError } from '../../src/stores/store.ts';
import { vault as plugIn } from '../../src/stores/vault.ts';
import { describeStore, faultOf, soon } from '../contracts/store.ts';
import { type Asserter, makeAsserter, type Trust } from '../fakes/federation.ts';
import { type FakeVault, startVault } from '../fakes/vault.ts';
import { storesDeps } from './deps.ts';

const open: FakeVault[] = [];
afterEach(async () => {
  for (const fake of open.splice(0)) await fake.close();
});

interface House {
  readonly fake: FakeVault;
  readonly us: Asserter;
  readonly store: Store;
  readonly steps: string[];
}

const trustOf = (us: Asserter, audience: string): Trust => ({
  issuer: us.issuer,
  subject: us.subject,
  audience,
  keys: us.keys,
});

async function house(config: Record<string, unknown> = {}, deps: Partial<StoresDeps> = {}): Promise<House> {
  const us = makeAsserter();
  const fake = await startVault();
  open.push(fake);
  fake.roles.set('hallpass', trustOf(us, fake.url));
  const role = 'tokenFile' in config || 'role' in config ? {} : { role: 'hallpass' };
  const entry = s.parse(plugIn.schema, { kind: 'vault', address: fake.url, ...role, ...config });
  const steps: string[] = [];
  const all = openStores(
    { bao: entry as { kind: 'vault' } },
    storesDeps({ assertFor: (_, terms) => us.assert(terms), step: (_, step) => void steps.push(step), ...deps }),
  );
  return { fake, us, store: await all.open('bao'), steps };
}

const failure = (work: Promise<unknown>): Promise<StoreError> =>
  work.then(
    () => Promise.reject(new Error('it did not reject')),
    (error) => (error instanceof StoreError ? error : Promise.reject(error)),
  );

const provoke = (fake: FakeVault) => ({
  denied: async (name: string) => void fake.denied.add(name),
  unreachable: async () => {
    fake.server.instead = () => 'reset';
  },
  slow: async () => {
    fake.server.instead = () => 'hang';
  },
});

const hostile = ['STRIPE?version=1', 'STRIPE%2e', 'a//b', '/STRIPE', 'STRIPE/', '%2e%2e/x', 'a\\b', 'ü', 'a b'];

describeStore('vault', { writable: true, hostile, never: {} }, async () => {
  const { fake, store } = await house();
  return {
    store,
    seed: async (name, value) => {
      const versions = [...(fake.secrets.get(name) ?? []), { data: { value }, deleted: '', destroyed: false }];
      fake.secrets.set(name, versions);
      return String(versions.length);
    },
    provoke: {
      ...provoke(fake),
      disabled: async (name) => {
        for (const version of fake.secrets.get(name) ?? []) version.deleted = '2026-11-22T12:00:00Z';
      },
    },
  };
});

describeStore(
  'vault with KV version 1',
  { writable: false, hostile, never: { disabled: 'KV version 1 deletes for good' } },
  async () => {
    const { fake, store } = await house({ version: 1, mount: 'kv' });
    const seed = async (name: string, value: string) => {
      fake.plain.set(name, { value });
      return 'kv1';
    };
    return { store, seed, provoke: provoke(fake) };
  },
);

describe('vault', () => {
  it('reads an object with other members than the one as its JSON', async () => {
    const { fake, store } = await house();
    const objects: JsonObject[] = [
      { username: 'ann', password: 'not-a-key' },
      { value: 'a', more: 'b' },
      { value: 1 },
      { value_base64: 'no base64!' },
      {},
    ];
    for (const data of objects) {
      fake.secrets.set('app/db', [{ data, deleted: '', destroyed: false }]);
      const { value } = await store.get('app/db', undefined, soon());
      expect(JSON.parse(value.revealText())).toEqual(data);
    }
  });

  it('hands out no number that is another than the one kept there', async () => {
    const { fake, store } = await house();
    const kept = (data: string) => {
      fake.server.instead = ({ url }) =>
        url.pathname.includes('/data/')
          ? { status: 200, body: `{"data":{"data":${data},"metadata":{"version":1}}}` }
          : undefined;
    };
    kept('{"pin":12345678901234567890}');
    expect(await faultOf(store.get('A', undefined, soon()))).toBe('invalid');
    kept('{"pin":9007199254740991}');
    expect((await store.get('A', undefined, soon())).value.revealText()).toBe('{"pin":9007199254740991}');
  });

  it('takes no other version than the one it asked for', async () => {
    const { fake, store } = await house();
    const answer = { data: { data: { value: 'newer' }, metadata: { version: 2 } } };
    fake.server.instead = ({ url }) =>
      url.pathname.includes('/data/') ? { status: 200, body: JSON.stringify(answer) } : undefined;
    expect(await faultOf(store.get('A', '1', soon()))).toBe('damaged');
    expect((await store.get('A', '2', soon())).version).toBe('2');
  });

  it('is held up by no error text, however long and whatever is in it', async () => {
    const { fake, store } = await house();
    const said = 'role '.repeat(50_000);
    fake.server.instead = ({ url }) =>
      url.pathname.includes('/data/') ? { status: 400, body: JSON.stringify({ errors: [said] }) } : undefined;
    const began = performance.now();
    expect(await faultOf(store.get('A', undefined, soon()))).toBe('invalid');
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it('gives a field of a JSON object through a REF', async () => {
    const us = makeAsserter();
    const fake = await startVault();
    open.push(fake);
    fake.roles.set('hallpass', trustOf(us, fake.url));
    fake.secrets.set('db', [{ data: { password: 'not-a-key' }, deleted: '', destroyed: false }]);
    const entry = s.parse(plugIn.schema, { kind: 'vault', address: fake.url, role: 'hallpass' });
    const { read } = openStores(
      { bao: entry as { kind: 'vault' } },
      storesDeps({ assertFor: (_, terms) => us.assert(terms) }),
    );
    const found = await read({ store: 'bao', name: 'db', field: 'password' }, soon());
    expect(found.value.revealText()).toBe('not-a-key');
  });

  it('writes no more than what it can give back', async () => {
    const { store, fake } = await house();
    expect(await faultOf(store.put('A', new Secret(''), soon()))).toBe('invalid');
    expect(await faultOf(store.put('A', new Secret(new Uint8Array(65_537)), soon()))).toBe('invalid');
    await store.put('A', new Secret('{"a":1}'), soon());
    expect(fake.secrets.get('A')?.[0]?.data).toEqual({ value: '{"a":1}' });
    expect((await store.get('A', undefined, soon())).value.revealText()).toBe('{"a":1}');
  });

  it('lists folder by folder, and only what a REF can name', async () => {
    const { store, fake } = await house();
    for (const name of ['z', 'a/b/c', 'a/b', 'a/d', 'with space/x', 'ü'])
      fake.secrets.set(name, [{ data: {}, deleted: '', destroyed: false }]);
    expect(await store.list(soon())).toEqual(['a/b', 'a/b/c', 'a/d', 'z']);
  });

  it('counts the versions that can still be read', async () => {
    const { store, fake } = await house();
    const ahead = new Date(Date.now() + 60_000).toISOString();
    fake.secrets.set('A', [
      { data: {}, deleted: '2026-11-22T12:00:00Z', destroyed: false },
      { data: {}, deleted: '', destroyed: true },
      { data: {}, deleted: ahead, destroyed: false },
      { data: {}, deleted: '', destroyed: false },
    ]);
    expect(await store.describe('A', soon())).toEqual({
      name: 'A',
      version: '4',
      createdAt: '2026-11-22T12:00:00.123456789Z',
      versions: 2,
    });
    expect(await faultOf(store.get('A', '2', soon()))).toBe('disabled');
  });

  it('says what a Vault is not: sealed, of another KV version, without the namespace', async () => {
    const { store, fake } = await house();
    await store.list(soon());
    fake.server.instead = () => ({
      status: 404,
      body: JSON.stringify({ data: null, warnings: ['Invalid path for a versioned K/V secrets engine.'] }),
    });
    const wrong = await failure(store.get('A', undefined, soon()));
    expect([wrong.fault, wrong.facts.code]).toEqual(['absent', 'wrong_kv_version']);
    fake.server.instead = undefined;
    fake.namespace = 'other';
    const lost = await failure(store.get('A', undefined, soon()));
    expect([lost.fault, lost.facts.code]).toEqual(['absent', 'no_such_namespace']);
    expect((await failure(store.list(soon()))).facts.code).toBe('no_such_namespace');
    fake.sealed = true;
    const sealed = await failure(store.get('A', undefined, soon()));
    expect([sealed.fault, sealed.facts]).toMatchObject(['unreachable', { reason: 'sealed', status: 503 }]);
  });

  it('names the namespace in every call', async () => {
    const { store, fake } = await house({ namespace: 'team/a' });
    fake.namespace = 'team/a';
    await store.put('A', new Secret('x'), soon());
    expect(new Set(fake.calls.map(({ headers }) => headers['x-vault-namespace']))).toEqual(new Set(['team/a']));
  });

  it('cannot log in to a namespace that is not there: that is no word on the secret', async () => {
    const { store } = await house({ namespace: 'team/a' });
    const { fault, facts } = await failure(store.get('A', undefined, soon()));
    expect([fault, facts]).toMatchObject([
      'denied',
      { step: 'login', reason: 'login_refused', code: 'no_such_namespace', status: 404 },
    ]);
  });
});

describe('the login to a Vault', () => {
  it('is one for many readers, by an assertion for this Vault alone', async () => {
    const { store, fake, us, steps } = await house();
    fake.secrets.set('A', [{ data: { value: 'x' }, deleted: '', destroyed: false }]);
    await Promise.all(Array.from({ length: 50 }, () => store.get('A', undefined, soon())));
    expect(us.made.map(({ aud }) => aud)).toEqual([fake.url]);
    expect(fake.calls.filter(({ url }) => url.pathname.endsWith('/login')).length).toBe(1);
    expect(steps.slice(0, 3)).toEqual(['assertion', 'login', 'read']);
  });

  it('renews the token while that can be, and begins anew where not', async () => {
    let at = Date.now();
    const { store, fake } = await house({}, { now: () => at });
    const logins = () => fake.calls.filter(({ url }) => url.pathname.endsWith('/login')).length;
    const renewals = () => fake.calls.filter(({ url }) => url.pathname.endsWith('/renew-self')).length;
    await store.list(soon());
    at += 500_000;
    await store.list(soon());
    expect([logins(), renewals()]).toEqual([1, 0]);
    at += 101_000;
    await store.list(soon());
    expect([logins(), renewals()]).toEqual([1, 1]);
    // The end of all renewals is near: it gives a token of less and less.
    fake.server.instead = ({ url, headers }) =>
      url.pathname.endsWith('/renew-self')
        ? {
            status: 200,
            body: JSON.stringify({
              auth: { client_token: headers['x-vault-token'], lease_duration: 60, renewable: true },
            }),
          }
        : undefined;
    at += 601_000;
    await store.list(soon());
    expect([logins(), renewals()]).toEqual([2, 2]);
    fake.renewable = false;
    at += 601_000;
    fake.server.instead = undefined;
    fake.killTokens();
    await store.list(soon());
    expect(logins()).toBe(3);
    at += 601_000;
    await store.list(soon());
    expect([logins(), renewals()]).toEqual([4, 3]);
  });

  it('is made once more when the token has died, and no further', async () => {
    const { store, fake, us } = await house();
    fake.secrets.set('A', [{ data: { value: 'x' }, deleted: '', destroyed: false }]);
    await store.get('A', undefined, soon());
    fake.killTokens();
    await store.get('A', undefined, soon());
    expect(us.made.length).toBe(2);
    expect(fake.calls.filter(({ url }) => url.pathname.endsWith('/renew-self'))).toEqual([]);
    fake.server.instead = ({ url }) =>
      url.pathname.endsWith('/login') ? undefined : { status: 403, body: '{"errors":["permission denied"]}' };
    expect(await faultOf(store.get('A', undefined, soon()))).toBe('denied');
    expect(us.made.length).toBe(3);
  });

  it('is not made anew for a path that no policy gives', async () => {
    const { store, fake, us } = await house();
    fake.denied.add('A');
    for (let i = 0; i < 3; i++) expect(await faultOf(store.get('A', undefined, soon()))).toBe('denied');
    expect(us.made.length).toBe(1);
  });

  it.each([
    ['a revoked role', 'no_such_role', 'login_refused', (fake: FakeVault) => fake.roles.clear()],
    [
      'another subject',
      'wrong_subject',
      'login_refused',
      (fake: FakeVault, us: Asserter) => fake.roles.set('hallpass', { ...trustOf(us, fake.url), subject: 'broker:x' }),
    ],
    [
      'keys that are not ours',
      'wrong_signature',
      'login_refused',
      (fake: FakeVault, us: Asserter) => {
        const kid = us.keys[0]?.kid;
        const keys = makeAsserter().keys.map((key) => ({ ...key, kid }));
        fake.roles.set('hallpass', { ...trustOf(us, fake.url), keys });
      },
    ],
  ] as const)('says denied for %s: %s', async (_, code, reason, change) => {
    const { store, fake, us } = await house();
    change(fake, us);
    const { fault, facts } = await failure(store.get('A', undefined, soon()));
    expect([fault, facts]).toMatchObject(['denied', { step: 'login', reason, code, status: 400 }]);
  });

  it('names a clock that is wrong', async () => {
    const us = makeAsserter({ now: () => Date.now() + 3_600_000 });
    const { store, fake } = await house({}, { assertFor: (_, terms) => us.assert(terms) });
    fake.roles.set('hallpass', trustOf(us, fake.url));
    const { fault, facts } = await failure(store.get('A', undefined, soon()));
    expect([fault, facts]).toMatchObject(['denied', { step: 'login', reason: 'clock_skew' }]);
  });

  it('shows the projected token where a file of one is configured, as it is at that time', async () => {
    const cluster = makeAsserter({ issuer: 'https://cluster.example', subject: 'system:serviceaccount:a:b' });
    const files: string[] = [];
    const token = () => cluster.assert({ audience: 'bao', algorithms: ['ES256'], ttl: 300 });
    const readFile = async (path: string) => {
      files.push(path);
      return Buffer.from(`${await token()}\n`);
    };
    const { store, fake, us } = await house({ tokenFile: '/var/run/t', role: 'pod' }, { readFile });
    fake.roles.set('pod', trustOf(cluster, 'bao'));
    await store.list(soon());
    fake.killTokens();
    await store.list(soon());
    expect(files).toEqual(['/var/run/t', '/var/run/t']);
    expect(us.made).toEqual([]);
  });

  it('shows the projected token where somebody could sign an assertion, too', async () => {
    const us = makeAsserter();
    const fake = await startVault();
    open.push(fake);
    fake.roles.set('pod', trustOf(us, 'bao'));
    const token = await us.assert({ audience: 'bao', algorithms: ['ES256'], ttl: 300 });
    const access = { address: fake.url, auth: 'jwt', role: 'pod', tokenFile: '/x' };
    const assert = () => Promise.reject(new Error('nobody asked for one'));
    const bao = openVault(access, { now: Date.now, env: {}, fetch, assert, readFile: async () => Buffer.from(token) });
    const call = { method: 'GET', path: 'auth/token/lookup-self', step: 'lookup' } as const;
    expect(await bao.ask(call, soon())).toHaveProperty('data');
  });

  it('takes the pod’s own token only inside a cluster, and none without an end', async () => {
    const readFile = async () => Buffer.from('e30.e30.e30');
    const cases = [
      [{}, 'no_identity'],
      [{ KUBERNETES_SERVICE_HOST: '10.0.0.1' }, 'static_token'],
    ] as const;
    for (const [env, reason] of cases) {
      const { store, fake } = await house({ role: undefined }, { env, readFile });
      expect((await failure(store.list(soon()))).facts).toMatchObject({ step: 'login', reason });
      expect(fake.calls).toEqual([]);
    }
    const missing = await house({ tokenFile: '/x' }, { readFile: () => Promise.reject(new Error('canary')) });
    expect((await failure(missing.store.list(soon()))).facts.reason).toBe('no_token');
    const worker = await house({ tokenFile: '/x' }, { readFile: undefined });
    expect((await failure(worker.store.list(soon()))).facts.reason).toBe('no_file_system');
    const vaultToken = await house({ tokenFile: '/x' }, { readFile: async () => Buffer.from('s.notarealtoken') });
    expect((await failure(vaultToken.store.list(soon()))).facts.reason).toBe('no_token');
  });
});

describe('a Vault in trouble', () => {
  it.each([
    [
      '429 with Retry-After',
      { status: 429, headers: { 'retry-after': '7' }, body: '{"errors":["slow down"]}' },
      'throttled',
      { retryAfter: 7, status: 429 },
    ],
    ['500', { status: 500, body: '{"errors":["canary"]}' }, 'unreachable', { reason: 'server_error', status: 500 }],
    [
      'a redirect',
      { status: 307, headers: { location: 'http://127.0.0.1:1/' } },
      'unreachable',
      { reason: 'redirect' },
    ],
    ['text that is no JSON', { status: 200, body: '<html>' }, 'unreachable', { reason: 'not_json' }],
    [
      'an answer of another shape',
      { status: 200, body: '{"data":{"data":"x"}}' },
      'damaged',
      { reason: 'unexpected_answer' },
    ],
    ['a body cut short', 'cut', 'unreachable', { reason: 'truncated' }],
    ['a body too large', { status: 200, body: `"${'x'.repeat(2_100_000)}"` }, 'unreachable', { reason: 'too_large' }],
    ['no connection', 'reset', 'unreachable', { step: 'read' }],
  ] as const)('%s', async (_, answer, fault, facts) => {
    const { store, fake } = await house();
    await store.list(soon());
    fake.server.instead = () => answer;
    const error = await failure(store.get('A', undefined, soon()));
    expect(error.fault).toBe(fault);
    expect(error.facts).toMatchObject({ step: 'read', ...facts });
    expect(JSON.stringify(error)).not.toContain('canary');
  });
});

describe('the config of a Vault', () => {
  const parses = (more: Record<string, unknown>) =>
    s.safeParse(plugIn.schema, { kind: 'vault', address: 'https://bao.example', ...more }).success;

  it('takes no token of the operator’s own, and nothing that would leave its path', () => {
    expect(parses({ role: 'hallpass' })).toBe(true);
    expect(parses({ token: 's.x' })).toBe(false);
    for (const mount of ['', '/secret', 'secret/', '../sys', 'a//b', 'a?b', 'a%2fb'])
      expect(parses({ mount })).toBe(false);
    expect(parses({ auth: '../sys' })).toBe(false);
    expect(parses({ namespace: 'a b' })).toBe(false);
    expect(parses({ version: 3 })).toBe(false);
    expect(parses({ address: 'http://bao.example' })).toBe(false);
  });

  const faults = (more: Record<string, unknown>) =>
    plugIn.check?.(s.parse(plugIn.schema, { kind: 'vault', address: 'https://bao.example', ...more }));

  it('is refused where our assertion would be shown to a kubernetes auth method', () => {
    const role = { auth: 'kubernetes', role: 'r' };
    expect(faults(role)).toEqual([
      {
        path: ['auth'],
        message: expect.stringContaining('takes service account tokens'),
        hint: expect.stringContaining('add tokenFile'),
      },
    ]);
    expect(faults({ ...role, tokenFile: '/x' })).toEqual([]);
    expect(faults({ ...role, auth: 'team/jwt' })).toEqual([]);
  });

  it('warns where only a pod could log in', () => {
    expect(faults({})).toMatchObject([{ warning: true, message: expect.stringContaining('nothing to log in with') }]);
    expect(faults({ role: 'r' })).toEqual([]);
    expect(faults({ tokenFile: '/x' })).toEqual([]);
  });

  it('says what the assertion is for: this Vault, unless told otherwise', () => {
    const terms = (more: Record<string, unknown>) =>
      plugIn.assertion?.(s.parse(plugIn.schema, { kind: 'vault', address: 'https://bao.example', ...more }));
    expect(terms({ role: 'r' })).toEqual({
      audience: 'https://bao.example',
      algorithms: ['ES256', 'RS256'],
      ttl: 300,
    });
    expect(terms({ role: 'r', audience: 'bao' })?.audience).toBe('bao');
    expect(terms({})).toBeUndefined();
    expect(terms({ role: 'r', tokenFile: '/x' })).toBeUndefined();
  });
});
