import { afterAll, describe, expect, it } from 'vitest';
import { googleToken } from '../../src/credentials/google-token.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { describeKind, faultsOf, identity, refusalOf, requestFor } from '../contracts/kind.ts';
import { makeAsserter } from '../fakes/federation.ts';
import { refuse } from '../fakes/google/answers.ts';
import { type FakeGoogle, type FakeGoogleOptions, fakeProvider, startFakeGoogle } from '../fakes/google.ts';
import { openCloud, type World } from './clouds.ts';

const account = 'orders@acme-core.iam.gserviceaccount.com';
const through = 'between@acme-core.iam.gserviceaccount.com';
const audience = `https://iam.googleapis.com/${fakeProvider}`;
const platform = 'https://www.googleapis.com/auth/cloud-platform';
const pubsub = 'https://www.googleapis.com/auth/pubsub';
const started: FakeGoogle[] = [];
afterAll(() => Promise.all(started.map((google) => google.close())));

const boundary = {
  accessBoundaryRules: [
    {
      availableResource: '//storage.googleapis.com/projects/_/buckets/orders',
      availablePermissions: ['inRole:roles/storage.objectViewer'],
      availabilityCondition: { expression: "resource.name.startsWith('projects/_/buckets/orders/objects/eu')" },
    },
  ],
};

interface Options extends FakeGoogleOptions {
  readonly world?: Partial<World>;
}

/** A fake Google that trusts us, and a credential of one of its accounts. */
async function rig(more: Record<string, unknown> = {}, { world = {}, ...options }: Options = {}) {
  const us = makeAsserter({ store: 'it', ...(world.now && { now: world.now }) });
  const trust = [{ issuer: us.issuer, audience, subject: us.subject, keys: us.keys }];
  const now = world.now === undefined ? {} : { now: world.now };
  const google = await startFakeGoogle({ trust, accounts: [account, through], ...now, ...options });
  started.push(google);
  const at = { provider: fakeProvider, sts: google.url, iam: google.url };
  const entry = { kind: 'google-token', account, scopes: [pubsub], ...at, ...more };
  const holder = (token: unknown) => google.tokens.holder(`Bearer ${token}`);
  return { google, us, entry, holder, ...(await openCloud(entry, { us, ...world })) };
}

const members = ['accessToken', 'tokenType', 'expiresOn'];

describeKind('google-token', { members, fingerprinted: 'accessToken' }, async () => {
  const { entry, deps } = await rig();
  return { entry, deps };
});

describeKind('google-token within a boundary', { members, fingerprinted: 'accessToken' }, async () => {
  const { entry, deps } = await rig({ scopes: [platform], boundary });
  return { entry, deps };
});

describe('a token of a service account', () => {
  it('is asked for with the scopes, the life and the delegates that are meant, and says for which issuance', async () => {
    const now = Date.now();
    const world = { now: () => now };
    const more = { scopes: [pubsub, platform], delegates: [through] };
    const { google, us, read, holder, credential } = await rig(more, { world });
    const request = requestFor({ ttl: 1200, expiresAt: now + 1_200_000 });
    const { data } = await read(request);
    expect(google.generated).toEqual([
      {
        account,
        by: `principal:${us.subject}`,
        scopes: [pubsub, platform],
        seconds: 1200,
        delegates: [through],
        reason: `hp_${request.id}`,
      },
    ]);
    expect(credential.account?.(request.id)).toBe(`hp_${request.id}`);
    expect(holder(data.accessToken)).toBe(account);
    expect(data.tokenType).toBe('Bearer');
    expect(Math.abs(Date.parse(String(data.expiresOn)) - Date.now() - 1_200_000)).toBeLessThan(5_000);
  });

  it('is asked for in these bytes and no others', async () => {
    const now = Date.now();
    const { google, read } = await rig({ delegates: [through] }, { world: { now: () => now } });
    await read({ ttl: 600, expiresAt: now + 600_000 });
    const [exchange, generate] = google.server.calls;
    expect([...new URLSearchParams(exchange?.body).keys()].sort()).toEqual(
      ['audience', 'grant_type', 'requested_token_type', 'scope', 'subject_token', 'subject_token_type'].sort(),
    );
    expect(generate?.method).toBe('POST');
    expect(decodeURIComponent(generate?.url.pathname ?? '')).toBe(
      `/v1/projects/-/serviceAccounts/${account}:generateAccessToken`,
    );
    expect(generate?.url.search).toBe('');
    expect(generate?.body).toBe(
      JSON.stringify({ scope: [pubsub], lifetime: '600s', delegates: [`projects/-/serviceAccounts/${through}`] }),
    );
  });

  it('ends with the lease, however long it took to log in to Google', async () => {
    const clock = { now: Math.floor(Date.now() / 1000) * 1000 };
    const { google, read } = await rig({}, { world: { now: () => clock.now } });
    const expiresAt = clock.now + 600_000;
    google.server.instead = () => {
      clock.now += 7_000;
      google.server.instead = undefined;
      return undefined;
    };
    const { data, expiresAt: sooner } = await read({ ttl: 600, expiresAt });
    expect(sooner).toBeUndefined();
    expect(google.generated).toMatchObject([{ seconds: 593 }]);
    expect(Date.parse(String(data.expiresOn))).toBe(expiresAt);
  });

  it('is not asked for where logging in took the whole lease', async () => {
    const clock = { now: Date.now() };
    const { google, refused } = await rig({}, { world: { now: () => clock.now } });
    const expiresAt = clock.now + 5_000;
    google.server.instead = () => {
      clock.now += 6_000;
      google.server.instead = undefined;
      return undefined;
    };
    expect(await refused({ ttl: 5, expiresAt })).toBe('store_failed session_over');
    expect(google.generated).toEqual([]);
  });

  it('tells Google nothing of who asked', async () => {
    const { google, us, read } = await rig({ scopes: [platform], boundary });
    const claims = { ...identity.claims, sub: 'who-asked', repository: 'what-asked' };
    await read({ identity: { ...identity, subject: 'who-asked', name: 'who-asked', claims } });
    const said = JSON.stringify([
      google.server.calls.map(({ url, headers, body }) => [url.href, headers, body]),
      us.made,
    ]);
    expect(said).not.toMatch(/who-asked|what-asked|acme\/shop/);
  });

  it('is another one each time, by one login of ours', async () => {
    const { google, us, read } = await rig();
    const issued = await Promise.all(Array.from({ length: 20 }, () => read()));
    expect(new Set(issued.map(({ data }) => data.accessToken)).size).toBe(20);
    expect(new Set(google.generated.map(({ reason }) => reason)).size).toBe(20);
    expect([google.callsOf('/v1/token').length, us.made.length]).toEqual([1, 1]);
  });

  it('within a boundary can do no more than the boundary lets through, and ends no later', async () => {
    const { google, read, holder } = await rig({ scopes: [platform], boundary });
    const { data } = await read({ ttl: 600 });
    expect(holder(data.accessToken)).toBe(`${account} within ${JSON.stringify(boundary.accessBoundaryRules)}`);
    const form = new URLSearchParams(google.callsOf('/v1/token')[1]?.body);
    expect(form.get('options')).toBe(JSON.stringify({ accessBoundary: boundary }));
    const whole = form.get('subject_token') as string;
    expect(holder(whole)).toBe(account);
    expect(JSON.stringify(data)).not.toContain(whole);
    expect(Date.parse(String(data.expiresOn))).toBeLessThanOrEqual(Date.now() + 600_000);
  });

  it('within a boundary lasts as long as the one without, where Google does not say', async () => {
    const { google, read } = await rig({ scopes: [platform], boundary });
    google.server.instead = ({ body }) =>
      body.includes('options=')
        ? { status: 200, body: JSON.stringify({ access_token: 'ya29.narrow', token_type: 'Bearer' }) }
        : undefined;
    const { data } = await read({ ttl: 600 });
    expect(data.accessToken).toBe('ya29.narrow');
    expect(Math.abs(Date.parse(String(data.expiresOn)) - Date.now() - 600_000)).toBeLessThan(5_000);
  });

  it('within a boundary is not said to live longer than the one without, whatever is said', async () => {
    const { google, read } = await rig({ scopes: [platform], boundary });
    const long = { access_token: 'within', token_type: 'Bearer', expires_in: 40_000 };
    google.server.instead = ({ body }) =>
      body.includes('accessBoundary') ? { status: 200, body: JSON.stringify(long) } : undefined;
    const { data } = await read({ ttl: 600 });
    expect(data.accessToken).toBe('within');
    expect(Date.parse(String(data.expiresOn)) - Date.now()).toBeLessThanOrEqual(600_000);
  });

  it('without the boundary is never handed over', async () => {
    const { google, refused } = await rig({ scopes: [platform], boundary });
    for (const change of [
      (body: string) => ({ access_token: new URLSearchParams(body).get('subject_token'), token_type: 'Bearer' }),
      () => ({ access_token: 'a b', token_type: 'Bearer' }),
      () => ({ access_token: 'ya29.x', token_type: 'mac' }),
      () => ({ access_token: 'ya29.x', token_type: 'Bearer', expires_in: -1 }),
      () => ({ token_type: 'Bearer' }),
    ]) {
      google.server.instead = ({ body }) =>
        body.includes('options=') ? { status: 200, body: JSON.stringify(change(body)) } : undefined;
      expect(await refused()).toBe('store_failed bad_answer');
    }
    google.server.instead = ({ body }) => (body.includes('options=') ? refuse('PERMISSION_DENIED') : undefined);
    expect(await refused()).toBe('store_failed denied');
  });

  it('is asked for once more with a new login, where the old one is no longer taken', async () => {
    const { google, read, refused } = await rig();
    await read();
    google.tokens.revokeAll();
    await read();
    expect([google.callsOf('/v1/token').length, google.callsOf(':generateAccessToken').length]).toEqual([2, 3]);
    google.server.instead = ({ url }) =>
      url.pathname.includes(':generate') ? refuse('UNAUTHENTICATED', 'ACCESS_TOKEN_TYPE_UNSUPPORTED') : undefined;
    expect(await refused()).toBe('store_failed denied');
    expect(google.callsOf(':generateAccessToken').length).toBe(5);
  });

  it('that Google ends sooner than asked ends the lease with it; one that it ends later is not believed', async () => {
    const { google, read } = await rig();
    const say = (expireTime: string) => {
      google.server.instead = ({ url }) =>
        url.pathname.includes(':generate')
          ? { status: 200, body: JSON.stringify({ accessToken: 'ya29.x', expireTime }) }
          : undefined;
    };
    const soon = Math.floor(Date.now() / 1000) * 1000 + 300_000;
    say(new Date(soon).toISOString());
    expect((await read({ ttl: 600 })).expiresAt).toBe(soon);
    say('2099-01-01T00:00:00Z');
    const { data, expiresAt } = await read({ ttl: 600 });
    expect(Date.parse(String(data.expiresOn))).toBeLessThanOrEqual(Date.now() + 600_000);
    expect(expiresAt).toBeUndefined();
  });

  it('lasts an hour, or twelve where config and organisation say so', async () => {
    const hour = await rig();
    expect(hour.credential.maxTtl).toBe(3600);
    const now = Date.now();
    const lasting = await rig({ ttl: '12h' }, { lasting: [account], world: { now: () => now } });
    await lasting.read({ ttl: 43_200, expiresAt: now + 43_200_000 });
    expect(lasting.google.generated.map(({ seconds }) => seconds)).toEqual([43_200]);
    const refused = await rig({ ttl: '12h' });
    expect(await refused.refused({ ttl: 3700 })).toBe('store_failed invalid');
    expect(refused.lines).toMatchObject([{ step: 'impersonate', code: 'INVALID_ARGUMENT', status: 400 }]);
  });

  it.each([
    ['of an account we may not act as', { account: 'admin@acme-core.iam.gserviceaccount.com' }, {}, 'denied'],
    ['through one that we may not act as', { delegates: ['x@acme-core.iam.gserviceaccount.com'] }, {}, 'denied'],
    ['of a provider that does not trust us', {}, { trust: [] }, 'denied'],
    ['of another provider', { provider: fakeProvider.replace('hallpass', 'other') }, {}, 'denied'],
  ])('%s is refused', async (_, more, options, reason) => {
    const { refused, google } = await rig(more, options);
    expect(await refused()).toBe(`store_failed ${reason}`);
    expect(google.generated).toEqual([]);
  });

  it.each([
    ['sends no JSON', { status: 200, body: '<canary/>' }, 'store_failed not_json'],
    ['sends no token', { status: 200, body: '{"expireTime":"2099-01-01T00:00:00Z"}' }, 'store_failed bad_answer'],
    [
      'sends two lines',
      { status: 200, body: '{"accessToken":"a\\nb","expireTime":"2099-01-01T00:00:00Z"}' },
      'store_failed bad_answer',
    ],
    ['sends no end', { status: 200, body: '{"accessToken":"canary"}' }, 'store_failed bad_answer'],
    [
      'sends what is over',
      { status: 200, body: '{"accessToken":"canary","expireTime":"2020-01-01T00:00:00Z"}' },
      'store_failed session_over',
    ],
    ['hangs up', 'reset' as const, 'store_failed connection_reset'],
    ['sends half of it', 'cut' as const, 'store_failed truncated'],
    ['sends us elsewhere', { status: 307, headers: { location: 'http://127.0.0.1:9/' } }, 'store_failed redirect'],
    ['is broken', { status: 500, body: 'canary' }, 'store_failed server_error'],
    ['does not know the account', refuse('NOT_FOUND'), 'store_failed absent'],
  ])('is refused for its own reason when Google %s', async (_, said, outcome) => {
    const { google, lines, refused } = await rig();
    google.server.instead = ({ url }) => (url.pathname.includes(':generate') ? said : undefined);
    expect(await refused()).toBe(outcome);
    const reason = outcome.split(' ')[1];
    expect(lines).toMatchObject([{ credential: 'it', kind: 'google-token', step: 'impersonate', reason }]);
  });

  it('is refused by the deadline when Google says nothing, and for as long as it asks us to wait', async () => {
    const { google, read, refused } = await rig();
    await read();
    google.server.instead = () => 'hang';
    expect(await refused({ deadline: deadlineIn(200, Date.now) })).toBe('store_timeout slow');
    google.server.instead = () => ({ ...refuse('RESOURCE_EXHAUSTED'), headers: { 'retry-after': '9' } });
    const waiting = await refusalOf(read());
    expect([waiting.code, waiting.reason, waiting.options.retryAfter]).toEqual(['store_failed', 'throttled', 9]);
  });

  it('is not asked for where nobody signs for us, or nothing can be recorded', async () => {
    const nobody = await rig({}, { world: { assert: undefined as never } });
    expect(await nobody.refused()).toBe('store_failed no_signer');
    const fails = async () => Promise.reject(new Refusal('ledger_unavailable', 'down'));
    const unrecorded = await rig({}, { world: { assert: fails } });
    expect(await unrecorded.refused()).toBe('ledger_unavailable down');
    for (const { google } of [nobody, unrecorded]) expect(google.server.calls).toEqual([]);
  });

  it('is got by the platform’s own identity where no provider is named', async () => {
    const env: Record<string, string> = {};
    const { google, us, read, refused } = await rig({ provider: undefined, sts: undefined }, { world: { env } });
    expect(await refused()).toBe('store_failed no_ambient_identity');
    env.GCE_METADATA_HOST = google.host;
    await read();
    expect(google.generated.map(({ by }) => by)).toEqual(['default']);
    expect(us.made).toEqual([]);
  });
});

describe('the config of a google-token', () => {
  const entry = { kind: 'google-token', account, scopes: [pubsub] };

  it.each([
    {},
    { provider: fakeProvider, audience: 'x', sts: 'https://sts.example.com' },
    { boundary, sts: 'https://sts.example.com' },
    { scopes: ['openid', 'https://mail.google.com/'] },
    { delegates: [through] },
    { ttl: '12h', resource: 'https://storage.googleapis.com' },
  ])('takes %j', (more) => expect(faultsOf({ ...entry, ...more })).toEqual([]));

  const [rule] = boundary.accessBoundaryRules;
  it.each([
    { scopes: undefined },
    { scopes: [] },
    { scopes: [''] },
    { scopes: ['a b'] },
    { scopes: pubsub },
    { account: 'somebody@example.com' },
    { delegates: [] },
    { delegates: ['x'] },
    { audience: 'x' },
    { sts: 'https://sts.example.com' },
    { boundary: {} },
    { boundary: { accessBoundaryRules: [] } },
    { boundary: { accessBoundaryRules: Array(11).fill(rule) } },
    { boundary: { accessBoundaryRules: [{ ...rule, availablePermissions: [] }] } },
    { boundary: { accessBoundaryRules: [{ ...rule, more: 'x' }] } },
    { key: '{}' },
    { ttl: '13h' },
  ])('refuses %j', (more) => expect(faultsOf({ ...entry, ...more })).not.toEqual([]));

  it('makes an assertion only for a provider, for the audience it takes', () => {
    expect(googleToken.assertion?.(entry)).toBeUndefined();
    expect(googleToken.assertion?.({ ...entry, provider: fakeProvider })?.audience).toBe(audience);
  });
});
