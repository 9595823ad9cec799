import { inspect } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as s from '../../src/lib/schema/index.ts';
import { Secret } from '../../src/lib/secret.ts';
import { guide } from '../../src/stores/google-secret-manager/guide.ts';
import { googleSecretManager } from '../../src/stores/google-secret-manager.ts';
import { StoreError } from '../../src/stores/store.ts';
import { describeStore, faultOf, type StoreFixture, soon } from '../contracts/store.ts';
import { type FakeGoogle, fakeAccount, fakeProvider, upstreamWords } from '../fakes/google.ts';
import type { FakeAnswer, FakeCall, FakeFault } from '../fakes/server.ts';
import { startFake } from '../fakes/server.ts';
import { audience, makeGoogle, parse, project, type Way } from './google-deps.ts';

const open: FakeGoogle[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((google) => google.close()));
});

async function make(...args: Parameters<typeof makeGoogle>) {
  const made = await makeGoogle(...args);
  open.push(made.google);
  return made;
}

async function errorOf(work: Promise<unknown>): Promise<StoreError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof StoreError)) throw error ?? new Error('it did not reject');
  return error;
}

async function fixture(way: Way): Promise<StoreFixture> {
  const { google, store } = await make(way);
  const { server, secretManager } = google;
  // The client is loaded and logged in: what follows shows the store's own times.
  await store.list(soon());
  const onSecrets = (fault: FakeFault) => async () => {
    server.instead = ({ url }) => (url.pathname.includes('/secrets') ? fault : undefined);
  };
  return {
    store,
    seed: async (name, value) => secretManager.seed(project, name, value),
    provoke: {
      denied: async (name) => void secretManager.denied.add(name),
      disabled: async (name) => secretManager.setState(project, name, 1, 'DISABLED'),
      unreachable: onSecrets('reset'),
      slow: onSecrets('hang'),
    },
  };
}

const traits = { writable: true, hostile: ['a/versions/1', 'a:access', 'a b', 'a?b', 'a%2Fb', 'ü'], never: {} };
describeStore('google-secret-manager', traits, () => fixture('node'));
describeStore('google-secret-manager by REST alone', traits, () => fixture('workerd'));

const ways: readonly (readonly [string, Way])[] = [
  ["by Google's own client", 'node'],
  ['by REST alone', 'workerd'],
];

describe.each(ways)('google-secret-manager %s', (_, way) => {
  const isSecrets = ({ url }: FakeCall) => url.pathname.includes('/secrets');

  it('reads by number, alias and latest, and reports the number', async () => {
    const { google, store } = await make(way);
    for (const value of ['first', 'second', 'third']) google.secretManager.seed(project, 'stripe', value);
    google.secretManager.alias(project, 'stripe', 'stable', 2);
    const read = async (version?: string) => {
      const found = await store.get('stripe', version, soon());
      return [found.value.revealText(), found.version];
    };
    expect(await read()).toEqual(['third', '3']);
    expect(await read('latest')).toEqual(['third', '3']);
    expect(await read('stable')).toEqual(['second', '2']);
    expect(await read('1')).toEqual(['first', '1']);
  });

  it('says disabled of a disabled and a destroyed version, and of latest when the newest is one', async () => {
    const { google, store } = await make(way);
    for (const value of ['first', 'second']) google.secretManager.seed(project, 'stripe', value);
    for (const state of ['DISABLED', 'DESTROYED'] as const) {
      google.secretManager.setState(project, 'stripe', 2, state);
      expect(await errorOf(store.get('stripe', '2', soon()))).toMatchObject({
        fault: 'disabled',
        facts: { step: 'read', status: 400, code: 'FAILED_PRECONDITION' },
      });
      expect(await faultOf(store.get('stripe', undefined, soon()))).toBe('disabled');
      expect((await store.get('stripe', '1', soon())).value.revealText()).toBe('first');
    }
  });

  it('refuses a value whose checksum is wrong or missing', async () => {
    const { google, store } = await make(way);
    google.secretManager.seed(project, 'stripe', 'not-a-key');
    for (const how of ['wrong', 'missing'] as const) {
      google.secretManager.breakChecksums(how);
      expect(await errorOf(store.get('stripe', undefined, soon()))).toMatchObject({
        fault: 'damaged',
        facts: { step: 'read', reason: 'checksum' },
      });
    }
  });

  it('refuses the value of another secret or version than it asked for', async () => {
    const { google, store } = await make(way);
    const payload = { data: 'YQ==', dataCrc32c: '3251651376' };
    for (const name of ['projects/1/secrets/other/versions/1', 'projects/1/secrets/stripe/versions/2', 'stripe']) {
      google.server.instead = (call) =>
        isSecrets(call) ? { status: 200, body: JSON.stringify({ name, payload }) } : undefined;
      expect(['damaged', 'unreachable']).toContain(await faultOf(store.get('stripe', '1', soon())));
    }
  });

  it('sends the checksum with what it writes, and makes the secret where it is not there', async () => {
    const { google, store } = await make(way);
    expect(await store.put('stripe', new Secret('not-a-key'), soon())).toEqual({ version: '1' });
    const writes = google.server.calls.filter((call) => isSecrets(call) && call.method === 'POST');
    expect(writes.map(({ url }) => url.pathname)).toEqual([
      '/v1/projects/acme-core/secrets/stripe:addVersion',
      '/v1/projects/acme-core/secrets',
      '/v1/projects/acme-core/secrets/stripe:addVersion',
    ]);
    expect(JSON.parse(writes[1]?.body ?? '')).toMatchObject({ replication: { automatic: {} } });
    expect(JSON.parse(writes[2]?.body ?? '')).toEqual({
      payload: { data: Buffer.from('not-a-key').toString('base64'), dataCrc32c: '3509669896' },
    });
    expect(await faultOf(store.put('stripe', new Secret(new Uint8Array(65_537)), soon()))).toBe('invalid');
    expect(await faultOf(store.put('stripe', new Secret(''), soon()))).toBe('invalid');
  });

  it('lists and counts over all pages, without destroyed versions, and tells of rotation', async () => {
    const { google, store } = await make(way);
    const names = Array.from({ length: 17 }, (_, i) => `name-${String(i).padStart(2, '0')}`);
    for (const name of [...names].reverse()) google.secretManager.seed(project, name, 'not-a-key');
    expect(await store.list(soon())).toEqual(names);
    for (let i = 1; i < 10; i++) google.secretManager.seed(project, 'name-00', `value ${i}`);
    google.secretManager.setState(project, 'name-00', 3, 'DESTROYED');
    google.secretManager.rotate(project, 'name-00', '2027-01-01T00:00:00Z');
    const { createdAt, rotation, ...rest } = await store.describe('name-00', soon());
    expect(rest).toEqual({ name: 'name-00', version: '10', versions: 9 });
    expect(Math.abs(Date.parse(createdAt ?? '') - Date.now())).toBeLessThan(60_000);
    expect(rotation).toMatchObject({ enabled: true });
    expect(Date.parse(rotation?.next ?? '')).toBe(Date.parse('2027-01-01T00:00:00Z'));
  });

  it('follows no more pages than it has a mind to', async () => {
    const { google, store } = await make(way);
    google.server.instead = (call) =>
      isSecrets(call) ? { status: 200, body: JSON.stringify({ secrets: [], nextPageToken: 'again' }) } : undefined;
    expect(await errorOf(store.list(soon()))).toMatchObject({ facts: { reason: 'too_large' } });
  });

  const broken: readonly (readonly [string, FakeAnswer | FakeFault, Record<string, unknown>])[] = [
    ['429', { status: 429, headers: { 'retry-after': '7' } }, { fault: 'throttled', facts: { retryAfter: 7 } }],
    ['500', { status: 500 }, { fault: 'unreachable', facts: { reason: 'server_error', status: 500 } }],
    ['503', { status: 503 }, { fault: 'unreachable', facts: { reason: 'server_error', status: 503 } }],
    ['a reset connection', 'reset', { fault: 'unreachable', facts: { reason: 'connection_reset' } }],
    ['a truncated body', 'cut', { fault: 'unreachable', facts: { reason: 'truncated' } }],
    ['silence', 'hang', { fault: 'slow' }],
    ['no JSON', { status: 200, body: upstreamWords }, { fault: 'unreachable', facts: { reason: 'not_json' } }],
    ['another JSON', { status: 200, body: '{"a":1}' }, { fault: 'unreachable', facts: { reason: 'bad_answer' } }],
    [
      'a body too large',
      { status: 200, body: JSON.stringify({ payload: upstreamWords.repeat(20_000) }) },
      { fault: 'unreachable', facts: { reason: 'too_large' } },
    ],
  ];

  it.each(broken)('meets %s with one call and says so without a word of it', async (_, said, expected) => {
    const { google, store } = await make(way);
    await store.list(soon());
    const before = google.server.calls.length;
    google.server.instead = (call) => {
      if (!isSecrets(call)) return undefined;
      return typeof said === 'string' ? said : { body: `{"error":{"message":"${upstreamWords}"}}`, ...said };
    };
    const error = await errorOf(store.get('stripe', undefined, soon(said === 'hang' ? 300 : 5_000)));
    expect(error).toMatchObject(expected);
    expect(google.server.calls.length - before).toBe(1);
    expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(upstreamWords);
  });

  it('does not follow a redirect', async () => {
    const trap = await startFake(() => ({ status: 200, body: '{}' }));
    const { google, store } = await make(way);
    google.server.instead = (call) =>
      isSecrets(call) ? { status: 307, headers: { location: `${trap.url}/v1/x` } } : undefined;
    expect(await errorOf(store.get('stripe', undefined, soon()))).toMatchObject({
      fault: 'unreachable',
      facts: { step: 'read', reason: 'redirect' },
    });
    expect(trap.calls).toEqual([]);
    await trap.close();
  });

  it('logs in once more when its token is no longer taken, and not twice', async () => {
    const { google, store } = await make(way);
    google.secretManager.seed(project, 'stripe', 'not-a-key');
    await store.get('stripe', undefined, soon());
    google.tokens.revokeAll();
    expect((await store.get('stripe', undefined, soon())).version).toBe('1');
    expect(google.callsOf('/v1/token').length).toBe(2);
    google.server.instead = (call) => (isSecrets(call) ? { status: 401 } : undefined);
    const before = google.callsOf('/secrets').length;
    expect(await errorOf(store.get('stripe', undefined, soon()))).toMatchObject({ fault: 'denied' });
    expect(google.callsOf('/secrets').length - before).toBe(2);
    expect(google.callsOf('/v1/token').length).toBe(3);
  });

  it('reads without an account as the federated identity itself', async () => {
    const { google, us, store } = await make(
      way,
      { account: undefined },
      { reader: 'principal:broker:pass.example.com' },
    );
    google.secretManager.seed(project, 'stripe', 'not-a-key');
    expect((await store.get('stripe', undefined, soon())).version).toBe('1');
    expect(us.made).toMatchObject([{ aud: audience, sub: 'broker:pass.example.com' }]);
    expect(google.callsOf('/serviceAccounts/')).toEqual([]);
  });

  it('tells each step as it begins', async () => {
    const { google, store, steps } = await make(way);
    google.secretManager.seed(project, 'stripe', 'not-a-key');
    await store.get('stripe', undefined, soon());
    expect(steps).toEqual(['assertion', 'exchange', 'impersonate', 'read']);
  });

  it('calls a region of its own for regional secrets', async () => {
    const { google, store } = await make(way, { location: 'europe-west1' });
    await store.put('stripe', new Secret('not-a-key'), soon());
    expect((await store.get('stripe', undefined, soon())).value.revealText()).toBe('not-a-key');
    expect(google.callsOf('/secrets').at(-1)?.url.pathname).toBe(
      '/v1/projects/acme-core/locations/europe-west1/secrets/stripe/versions/latest:access',
    );
    expect(await store.list(soon())).toEqual(['stripe']);
  });

  it('makes one call and one login of 1,000 reads at once', async () => {
    const { google, stores } = await make(way);
    google.secretManager.seed(project, 'stripe', 'not-a-key');
    const ref = { store: 'core', name: 'stripe' };
    const found = await Promise.all(Array.from({ length: 1_000 }, () => stores.read(ref, soon())));
    expect(found.every(({ value }) => value.revealText() === 'not-a-key')).toBe(true);
    expect(google.server.calls.length).toBe(3);
  });

  it('is another way to call, seen from Google', async () => {
    const { google, store } = await make(way);
    await store.list(soon());
    const client = google.callsOf('/secrets')[0]?.headers['x-goog-api-client'] ?? '';
    expect(client.includes('gapic/')).toBe(way === 'node');
  });
});

describe('google-secret-manager, logging in', () => {
  const way = 'workerd';

  it('names the step exchange when Google does not trust who we are', async () => {
    const { store } = await make(way, {}, { trust: [] });
    const error = await errorOf(store.get('stripe', undefined, soon()));
    expect(error).toMatchObject({
      fault: 'denied',
      facts: { step: 'exchange', status: 400, code: 'invalid_grant' },
    });
    expect(inspect(error, { depth: 20 })).not.toContain(upstreamWords);
  });

  it('names the step impersonate when it may not act as the account', async () => {
    const { store } = await make(way, {}, { accounts: [] });
    expect(await errorOf(store.get('stripe', undefined, soon()))).toMatchObject({
      fault: 'denied',
      facts: { step: 'impersonate', status: 403, code: 'IAM_PERMISSION_DENIED' },
    });
  });

  it('says denied, never absent, of a token service that is not where the config says', async () => {
    const { google, store } = await make(way);
    google.server.instead = ({ url }) => (url.pathname === '/v1/token' ? { status: 404 } : undefined);
    expect(await errorOf(store.get('stripe', undefined, soon()))).toMatchObject({
      fault: 'denied',
      facts: { step: 'exchange', status: 404 },
    });
  });

  const ambient = { provider: undefined, sts: undefined };

  it('asks the metadata server for the identity of the platform, and acts as an account where one is named', async () => {
    const env: Record<string, string> = {};
    const { google, us, steps, store } = await make(way, ambient, { deps: { env } });
    env.GCE_METADATA_HOST = google.host;
    google.secretManager.seed(project, 'stripe', 'not-a-key');
    expect((await store.get('stripe', undefined, soon())).version).toBe('1');
    expect(steps).toEqual(['identity', 'impersonate', 'read']);
    expect(us.made).toEqual([]);
  });

  it('takes no key of a service account from the environment', async () => {
    const readFile = vi.fn(async () => new Uint8Array(0));
    const env = { GOOGLE_APPLICATION_CREDENTIALS: '/key.json', GOOGLE_CREDENTIALS: '{"type":"service_account"}' };
    for (const runtime of ['node', 'workerd'] as const) {
      const { google, store } = await make(runtime, ambient, { deps: { env, readFile } });
      expect(await errorOf(store.get('stripe', undefined, soon()))).toMatchObject({
        fault: 'denied',
        facts: { step: 'identity', reason: 'no_ambient_identity' },
      });
      expect(google.server.calls).toEqual([]);
    }
    expect(readFile).not.toHaveBeenCalled();
  });

  it('tells the calls of many at once apart, each with its own time, and sends nothing of how it does', async () => {
    const { google, store } = await make('node');
    google.secretManager.seed(project, 'stripe', 'not-a-key');
    await store.get('stripe', undefined, soon());
    google.server.instead = ({ url }) => (url.pathname.includes('/versions/1:') ? 'hang' : undefined);
    const late = errorOf(store.get('stripe', '1', soon(300)));
    const others = [store.list(soon()), store.get('stripe', undefined, soon()), store.get('other', undefined, soon())];
    const [listed, read, absent] = await Promise.allSettled(others);
    expect([listed?.status, read?.status]).toEqual(['fulfilled', 'fulfilled']);
    expect(absent).toMatchObject({ reason: { fault: 'absent', facts: { step: 'read' } } });
    expect(await late).toMatchObject({ fault: 'slow', facts: { step: 'read' } });
    expect(google.server.calls.flatMap(({ headers }) => Object.keys(headers)).join()).not.toContain('hallpass');
  });

  it("keeps values out of the client's own log", async () => {
    vi.stubEnv('GOOGLE_SDK_NODE_LOGGING', '*');
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const error = vi.spyOn(console, 'error').mockReturnValue();
    try {
      const { store } = await make('node');
      await store.put('stripe', new Secret('not-a-key'), soon());
      await store.get('stripe', undefined, soon());
      const written = inspect([stderr.mock.calls, error.mock.calls], { depth: 9, maxStringLength: null });
      expect(written).not.toMatch(/accessSecretVersion|addSecretVersion|not-a-key/);
    } finally {
      stderr.mockRestore();
      error.mockRestore();
      vi.unstubAllEnvs();
    }
  });
});

describe('google-secret-manager, configured', () => {
  const faults = (config: Record<string, unknown>): string[] => {
    const found = s.safeParse(googleSecretManager.schema, { kind: 'google-secret-manager', project, ...config });
    return found.success ? [] : found.error.issues.map(({ path }) => path.join('.'));
  };

  it('takes a provider by its resource name alone', () => {
    expect(faults({ provider: fakeProvider })).toEqual([]);
    for (const provider of [
      `//iam.googleapis.com/${fakeProvider}`,
      audience,
      fakeProvider.replace('123456789', 'acme'),
    ])
      expect(faults({ provider })).toEqual(['provider']);
  });

  it('refuses what is no project, account, place or origin', () => {
    expect(faults({ project: '123456789', account: fakeAccount, location: 'europe-west1' })).toEqual([]);
    for (const wrong of ['a/b', '../x', 'Acme', '']) expect(faults({ project: wrong }), wrong).toEqual(['project']);
    for (const account of ['someone@example.com', 'a@b/c.iam.gserviceaccount.com', '-'])
      expect(faults({ account }), account).toEqual(['account']);
    expect(faults({ location: 'europe-west1.evil.example/' })).toEqual(['location']);
    for (const endpoint of ['http://sm.example.com', 'https://sm.example.com/', 'https://sm.example.com/v1'])
      expect(faults({ endpoint }), endpoint).toEqual(['endpoint']);
  });

  it('says that an audience is for a provider', () => {
    expect(googleSecretManager.check?.(parse({ audience: 'x' }))).toEqual([
      { path: ['audience'], message: 'audience means nothing without provider' },
    ]);
    expect(googleSecretManager.check?.(parse({ audience: 'x', provider: fakeProvider }))).toEqual([]);
  });

  it("asserts for the provider's own audience, or the one that is configured", () => {
    const terms = (config: Record<string, unknown>) => googleSecretManager.assertion?.(parse(config));
    expect(terms({})).toBeUndefined();
    expect(terms({ provider: fakeProvider })).toEqual({ audience, algorithms: ['ES256', 'RS256'], ttl: 300 });
    expect(terms({ provider: fakeProvider, audience: 'hallpass' })).toMatchObject({ audience: 'hallpass' });
  });
});

describe('the guide of google-secret-manager', () => {
  const facts = {
    store: 'core',
    issuer: 'https://pass.example.com',
    jwksUri: 'https://pass.example.com/.well-known/jwks.json',
    audience,
    subject: 'broker:pass.example.com',
    algorithm: 'ES256' as const,
    names: [],
  };
  const shell = (config: Record<string, unknown>) =>
    guide(parse(config), facts)
      .map((step) => step.shell)
      .join('\n');

  it('trusts one issuer, audience and subject, and lets one account read', () => {
    const lines = shell({ provider: fakeProvider, account: fakeAccount });
    for (const part of [
      "--issuer-uri='https://pass.example.com'",
      `--allowed-audiences='${audience}'`,
      "--attribute-mapping='google.subject=assertion.sub'",
      `--attribute-condition="assertion.sub == 'broker:pass.example.com'"`,
      "workload-identity-pools create 'outside' --project='123456789'",
      '--role=roles/iam.workloadIdentityUser',
      "--member='principal://iam.googleapis.com/projects/123456789/locations/global/workloadIdentityPools/outside/subject/broker:pass.example.com'",
      '--role=roles/secretmanager.secretAccessor',
      `--member='serviceAccount:${fakeAccount}'`,
    ])
      expect(lines).toContain(part);
  });

  it('gives the identity itself the right where there is no account', () => {
    const lines = shell({ provider: fakeProvider, location: 'europe-west1' });
    expect(lines).not.toContain('service-accounts');
    expect(lines).toMatch(/secretAccessor \\\n {2}--member='principal:\/\/iam\.googleapis\.com\/projects\/123456789\//);
    expect(lines).toContain("--location='europe-west1'");
  });
});
