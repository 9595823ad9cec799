import { afterEach, describe, expect, it } from 'vitest';
import type { IssueRequest, KindDeps, ReadCredential } from '../../src/credentials/kind.ts';
import { kubernetesToken as plugIn } from '../../src/credentials/kubernetes-token.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { LogFacts } from '../../src/lib/platform.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import type { AssertionTerms } from '../../src/sessions/session.ts';
import {
  depsFor,
  describeKind,
  faultsOf,
  hostileSubjects,
  identity,
  openKind,
  refusalOf,
  requestFor,
} from '../contracts/kind.ts';
import { type Asserter, makeAsserter } from '../fakes/federation.ts';
import { type FakeKubernetes, startKubernetes } from '../fakes/kubernetes.ts';
import type { FakeAnswer, FakeFault } from '../fakes/server.ts';

const open: FakeKubernetes[] = [];
afterEach(async () => {
  for (const fake of open.splice(0)) await fake.close();
});

interface House {
  readonly fake: FakeKubernetes;
  readonly us: Asserter;
  readonly entry: { readonly kind: 'kubernetes-token' } & Record<string, unknown>;
  readonly deps: KindDeps;
  readonly log: [event: string, facts: LogFacts | undefined][];
  readonly credential: ReadCredential;
}

async function house(more: Record<string, unknown> = {}, changes: Partial<KindDeps> = {}): Promise<House> {
  const us = makeAsserter();
  const trust = { issuer: us.issuer, subject: us.subject, audience: 'the-cluster', keys: us.keys };
  const fake = await startKubernetes([trust]);
  open.push(fake);
  fake.accounts.known.add('shop/checkout');
  const entry = {
    kind: 'kubernetes-token',
    server: fake.url,
    audience: 'the-cluster',
    namespace: 'shop',
    serviceAccount: 'checkout',
    audiences: ['https://api.example.com'],
    ...more,
  } as const;
  const log: House['log'] = [];
  const deps: KindDeps = {
    ...depsFor(),
    log: (_, event, facts) => void log.push([event, facts]),
    assert: () => us.assert(plugIn.assertion?.(entry) as AssertionTerms),
    ...changes,
  };
  return { fake, us, entry, deps, log, credential: (await openKind(entry, deps)) as ReadCredential };
}

const tokenOf = ({ data }: { readonly data: Readonly<Record<string, unknown>> }) => String(data.token);
const claimsOf = (token: string): JsonObject =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

describeKind(
  'kubernetes-token',
  { members: ['token', 'namespace', 'serviceAccount', 'server'], fingerprinted: 'token' },
  async () => {
    const { entry, deps } = await house();
    return { entry, deps };
  },
);

describe('kubernetes-token', () => {
  it('hands over a token that is taken for its audience and for no other, and is known by its jti', async () => {
    const { fake, credential } = await house();
    const issued = await credential.read(requestFor());
    const token = tokenOf(issued);
    expect(issued.data).toEqual({ token, namespace: 'shop', serviceAccount: 'checkout', server: fake.url });
    expect(fake.accounts.review(token, 'https://api.example.com')).toBe('system:serviceaccount:shop:checkout');
    expect(fake.accounts.review(token, 'https://other.example.com')).toBeUndefined();
    expect(fake.accounts.review(token, 'https://api.example.com', Date.now() + 601_000)).toBeUndefined();
    expect(issued.account).toBe(claimsOf(token).jti);
    expect(issued.expiresAt).toBeUndefined();
    expect(credential.end).toBeUndefined();
  });

  it('asks for exactly the audiences of the config and the life of the lease, 600 s where that is shorter', async () => {
    const audiences = ['https://a.example.com', 'vault'];
    const now = Date.now();
    const { fake, credential } = await house({ audiences }, { now: () => now });
    for (const ttl of [30, 600, 900]) await credential.read(requestFor({ ttl, expiresAt: now + ttl * 1000 }));
    expect(fake.accounts.asked).toEqual([600, 600, 900].map((expirationSeconds) => ({ audiences, expirationSeconds })));
  });

  it('never asks for 3607 s, for which an API server gives a year', async () => {
    const now = Date.now();
    const { fake, credential } = await house({}, { now: () => now });
    const issued = await credential.read(requestFor({ ttl: 3607, expiresAt: now + 3_607_000 }));
    expect(fake.accounts.asked).toMatchObject([{ expirationSeconds: 3606 }]);
    const { exp, iat } = claimsOf(tokenOf(issued));
    expect(Number(exp) - Number(iat)).toBe(3606);
    expect(issued.expiresAt).toBe(Number(exp) * 1000);
  });

  it('asks for no more than is left of the lease, where logging in to the cluster took long', async () => {
    const clock = { now: Math.floor(Date.now() / 1000) * 1000 };
    const { fake, entry, deps } = await house({}, { now: () => clock.now });
    const assert: NonNullable<KindDeps['assert']> = (...asked) => {
      clock.now += 7_000;
      return (deps.assert as NonNullable<KindDeps['assert']>)(...asked);
    };
    const credential = (await openKind(entry, { ...deps, assert })) as ReadCredential;
    await credential.read(requestFor({ ttl: 900, expiresAt: clock.now + 900_000 }));
    expect(fake.accounts.asked).toMatchObject([{ expirationSeconds: 893 }]);
  });

  it('ends the lease with a token that the cluster gives for less', async () => {
    const { fake, credential } = await house();
    fake.accounts.longest = 120;
    const issued = await credential.read(requestFor({ ttl: 900 }));
    expect(issued.expiresAt).toBe(Number(claimsOf(tokenOf(issued)).exp) * 1000);
  });

  it('lets a lease live an hour at most unless the config says otherwise', async () => {
    expect((await house()).credential.maxTtl).toBe(3600);
    expect((await house({ ttl: '8h' })).credential.maxTtl).toBe(28_800);
  });

  it.each<[string, string, (claims: JsonObject) => JsonObject]>([
    ['of another service account', 'other_token', (claims) => ({ ...claims, sub: 'system:serviceaccount:shop:admin' })],
    ['for another audience', 'other_token', (claims) => ({ ...claims, aud: ['https://kubernetes.default.svc'] })],
    ['for one audience more', 'other_token', (claims) => ({ ...claims, aud: [...(claims.aud as string[]), 'x'] })],
    ['for no audience', 'other_token', ({ aud: _, ...claims }) => claims],
    ['that lives for a year', 'lives_too_long', (claims) => ({ ...claims, exp: Number(claims.iat) + 31_536_000 })],
    ['that is over', 'unexpected_answer', (claims) => ({ ...claims, iat: 1000, exp: 1600 })],
    ['that never ends', 'unexpected_answer', ({ exp: _, ...claims }) => claims],
    ['without a beginning', 'unexpected_answer', ({ iat: _, ...claims }) => claims],
  ])('hands over no token %s', async (_, reason, change) => {
    const { fake, credential, log } = await house();
    fake.accounts.change = change;
    const refusal = await refusalOf(credential.read(requestFor()));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', reason]);
    expect(log).toMatchObject([
      ['target_failed', { credential: 'it', kind: 'kubernetes-token', step: 'token', reason }],
    ]);
  });

  it.each([
    {},
    { status: {} },
    { status: { token: 7 } },
    { status: { token: 'a.b' } },
    { status: { token: 'e30.%.e30' } },
  ])('takes the answer %j for none', async (body) => {
    const { fake, credential } = await house();
    fake.server.instead = ({ url }) =>
      url.pathname.endsWith('/token') ? { status: 201, body: JSON.stringify(body) } : undefined;
    expect((await refusalOf(credential.read(requestFor()))).reason).toBe('unexpected_answer');
  });

  it('sends nothing of whoever asks', async () => {
    const { fake, credential } = await house();
    for (const subject of hostileSubjects.filter((text) => text.length > 1)) {
      await credential.read(
        requestFor({ identity: { ...identity, subject, name: subject, claims: { sub: subject } } }),
      );
      const sent = fake.calls.map(({ url, headers, body }) => JSON.stringify([url.href, headers, body])).join();
      expect(sent).not.toContain(JSON.stringify(subject).slice(1, -1));
    }
  });

  it('shows a projected token where one is configured, and asks nobody to sign then', async () => {
    const cluster = makeAsserter({ issuer: 'https://cluster.example' });
    const own = await cluster.assert({ audience: 'x', algorithms: ['ES256'], ttl: 300 });
    const assert = () => Promise.reject(new Error('nobody asked for one'));
    const { fake, credential, entry } = await house(
      { tokenFile: '/var/run/t' },
      { readFile: async () => Buffer.from(own), assert },
    );
    expect(plugIn.assertion?.(entry)).toBeUndefined();
    fake.serviceAccounts.add(own);
    expect(tokenOf(await credential.read(requestFor()))).toContain('.');
  });

  it('proves itself anew where its bearer is taken no more, once for two that ask', async () => {
    const { fake, us, credential } = await house();
    await credential.read(requestFor());
    fake.refused.add(String(fake.calls[0]?.headers.authorization).replace('Bearer ', ''));
    await Promise.all([credential.read(requestFor()), credential.read(requestFor())]);
    expect(us.made.length).toBe(2);
  });

  it('wants its audiences said, in a config that names nothing else', () => {
    const entry = {
      kind: 'kubernetes-token',
      server: 'https://k8s.example.com',
      namespace: 'shop',
      serviceAccount: 'checkout',
      audiences: ['a'],
    };
    expect(faultsOf(entry)).toEqual([]);
    const { audiences: _, ...none } = entry;
    const wrong = [
      none,
      { ...entry, audiences: [] },
      { ...entry, audiences: ['a b'] },
      { ...entry, audiences: ['a\n'] },
      { ...entry, namespace: 'Shop' },
      { ...entry, namespace: 'a/b' },
      { ...entry, serviceAccount: '../x' },
      { ...entry, serviceAccount: 'a/token' },
      { ...entry, serviceAccount: 'a'.repeat(254) },
      { ...entry, server: 'http://k8s.example.com' },
      { ...entry, token: 'x' },
    ];
    for (const one of wrong) expect(faultsOf(one)).not.toEqual([]);
  });
});

describe('a cluster in trouble', () => {
  const troubles: [string, FakeAnswer | FakeFault, [code: string, reason: string]][] = [
    ['hangs', 'hang', ['store_timeout', 'slow']],
    ['drops the connection', 'reset', ['store_failed', 'connection_reset']],
    ['stops in the middle', 'cut', ['store_failed', 'truncated']],
    ['answers 500', { status: 500, body: '{"message":"canary"}' }, ['store_failed', 'server_error']],
    ['answers with a page', { status: 200, body: '<html>canary' }, ['store_failed', 'not_json']],
    ['sends elsewhere', { status: 307, headers: { location: 'http://127.0.0.1:1/' } }, ['store_failed', 'redirect']],
    ['says 403', { status: 403, body: '{"reason":"Forbidden","message":"canary"}' }, ['store_failed', 'denied']],
    ['says 404', { status: 404, body: '{"reason":"NotFound","message":"canary"}' }, ['store_failed', 'absent']],
    ['says 422', { status: 422, body: '{"reason":"Invalid","message":"canary"}' }, ['store_failed', 'invalid']],
    ['takes no bearer', { status: 401, body: '{"reason":"Unauthorized"}' }, ['store_failed', 'login_refused']],
    ['answers without end', { status: 201, body: 'x'.repeat(300_000) }, ['store_failed', 'too_large']],
  ];
  it.each(troubles)('that %s is a refusal without a word of it, and in time', async (_, said, expected) => {
    const { fake, credential, log } = await house();
    fake.server.instead = () => said;
    const from = Date.now();
    const request: IssueRequest = requestFor({ deadline: deadlineIn(1_000, Date.now) });
    const refusal = await refusalOf(credential.read(request));
    expect([refusal.code, refusal.reason]).toEqual(expected);
    expect(Date.now() - from).toBeLessThan(3_000);
    expect(JSON.stringify([refusal.options, log])).not.toContain('canary');
  });

  it('says how long a throttling one wants us to wait', async () => {
    const { fake, credential } = await house();
    fake.server.instead = () => ({ status: 429, headers: { 'retry-after': '7' }, body: '{}' });
    const refusal = await refusalOf(credential.read(requestFor()));
    expect([refusal.reason, refusal.options.retryAfter]).toEqual(['throttled', 7]);
  });

  it('is the target’s failure where the ledger lets us not log in, and the ledger’s own where that is down', async () => {
    const denied = await house({}, { assert: () => Promise.reject(new Refusal('denied', 'lockdown')) });
    expect(await refusalOf(denied.credential.read(requestFor()))).toMatchObject({
      code: 'store_failed',
      reason: 'lockdown',
    });
    const down = await house({}, { assert: () => Promise.reject(new Refusal('ledger_unavailable', 'down')) });
    expect(await refusalOf(down.credential.read(requestFor()))).toMatchObject({ code: 'ledger_unavailable' });
  });

  it('is never shown a bearer over a connection that a missing certificate would have pinned', async () => {
    const { fake, credential } = await house(
      { ca: './missing.pem' },
      { readFile: () => Promise.reject(new Error('canary')) },
    );
    expect((await refusalOf(credential.read(requestFor()))).reason).toBe('no_ca');
    expect(fake.calls).toEqual([]);
  });
});
