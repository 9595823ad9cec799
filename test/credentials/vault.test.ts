import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { Issued, KindDeps, Lease, TargetCredential } from '../../src/credentials/kind.ts';
import { vault as plugIn } from '../../src/credentials/vault.ts';
import { type Deadline, deadlineIn } from '../../src/lib/deadline.ts';
import type { LogFacts } from '../../src/lib/platform.ts';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import type { AssertionTerms } from '../../src/sessions/session.ts';
import {
  depsFor,
  describeKind,
  faultsOf,
  hostileSubjects,
  identity,
  leaseOf,
  openKind,
  refusalOf,
  requestFor,
} from '../contracts/kind.ts';
import { type Asserter, makeAsserter } from '../fakes/federation.ts';
import type { FakeAnswer, FakeFault } from '../fakes/server.ts';
import { type FakeVault, startVault } from '../fakes/vault.ts';
import type { FakeEngine } from '../fakes/vault-leases.ts';

const open: FakeVault[] = [];
afterEach(async () => {
  for (const fake of open.splice(0)) await fake.close();
});

const path = 'database/creds/orders';

interface House {
  readonly fake: FakeVault;
  readonly us: Asserter;
  readonly engine: FakeEngine;
  readonly entry: { readonly kind: 'vault' } & Record<string, unknown>;
  readonly deps: KindDeps;
  readonly log: [event: string, facts: LogFacts | undefined][];
  readonly credential: TargetCredential;
}

async function house(more: Record<string, unknown> = {}, engine: Partial<FakeEngine> = {}): Promise<House> {
  const us = makeAsserter();
  const fake = await startVault();
  open.push(fake);
  fake.roles.set('hallpass', { issuer: us.issuer, subject: us.subject, audience: fake.url, keys: us.keys });
  const make = () => ({ username: `v-${randomBytes(4).toString('hex')}`, password: randomBytes(8).toString('hex') });
  const all = { seconds: 3600, longest: 86_400, renewable: true, make, ...engine };
  fake.leases.engines.set(path, all);
  const entry = { kind: 'vault', address: fake.url, role: 'hallpass', path, ...more } as const;
  const log: House['log'] = [];
  const deps: KindDeps = {
    ...depsFor(),
    log: (_, event, facts) => void log.push([event, facts]),
    assert: () => us.assert(plugIn.assertion?.({ auth: 'jwt', ...entry }) as AssertionTerms),
  };
  const credential = (await openKind(entry, deps)) as TargetCredential;
  return { fake, us, engine: all, entry, deps, log, credential };
}

const soon = (ms = 5_000): Deadline => deadlineIn(ms, Date.now);
const lease = ({ account = '', kept = '' }: Issued, more: Partial<Lease> = {}): Lease => ({
  issuance: 'x',
  account,
  kept,
  ...more,
});
const callsOf = ({ calls }: FakeVault, name: string) => calls.filter(({ url }) => url.pathname === `/v1/${name}`);

describeKind('vault', { members: ['username', 'password'], fingerprinted: 'password' }, async () => {
  const { entry, deps } = await house({ fingerprint: 'password' });
  return { entry, deps };
});

describe('vault', () => {
  it('hands over what the path gives, and keeps its lease: undoing it ends it there, again and again', async () => {
    const { fake, credential } = await house();
    const request = requestFor();
    const issued = await credential.make(request);
    expect(Object.keys(issued.data)).toEqual(['username', 'password']);
    expect([issued.fingerprinted, issued.expiresAt]).toEqual([undefined, undefined]);
    expect(fake.leases.alive(path)).toEqual([issued.account]);
    expect(credential.account(request.id)).toBeUndefined();
    for (const _ of [1, 2]) await credential.undo(leaseOf(credential, request, issued), soon());
    expect(fake.leases.alive(path)).toEqual([]);
    expect(fake.leases.revocations[0]).toEqual({ lease_id: issued.account, sync: true });
  });

  it('keeps apart what two who ask at once are given, and ends one alone', async () => {
    const { fake, credential } = await house();
    const [one, two] = await Promise.all([credential.make(requestFor()), credential.make(requestFor())]);
    expect(one.data.username).not.toBe(two.data.username);
    await credential.undo(lease(one), soon());
    expect(fake.leases.alive(path)).toEqual([two.account]);
  });

  it('logs in once for all', async () => {
    const { us, credential } = await house();
    await Promise.all([1, 2, 3].map(() => credential.make(requestFor())));
    expect(us.made).toHaveLength(1);
  });

  it('has nothing to undo where only an intent is known, and says so', async () => {
    const { fake, credential, log } = await house();
    await credential.undo({ issuance: 'an-issuance' }, soon());
    expect(fake.calls).toEqual([]);
    expect(log).toEqual([['lease_unknown', { credential: 'it', kind: 'vault', issuance: 'an-issuance' }]]);
  });

  it.each(['', 'no-path', '/a/b', 'a//b', 'a/b\n', 'a/b?x', `a/${'b'.repeat(1024)}`])(
    'undoes nothing of the name %j',
    async (account) => {
      const { fake, credential } = await house();
      expect((await refusalOf(credential.undo({ issuance: 'x', account }, soon()))).reason).toBe('bad_account');
      expect(fake.calls).toEqual([]);
    },
  );

  it('writes where the config says so, with the parameters of the config', async () => {
    const asked: JsonObject[] = [];
    const make = (parameters: JsonObject) => {
      asked.push(parameters);
      return { certificate: 'not a real one', serial_number: '01', expiration: 1_795_000_000, ca_chain: ['a', 'b'] };
    };
    const parameters = { common_name: 'shop.example.com', ttl: '10m' };
    const { fake, credential } = await house({ method: 'write', parameters }, { make });
    const { data } = await credential.make(requestFor());
    expect(asked).toEqual([parameters]);
    expect(callsOf(fake, path)[0]?.method).toBe('POST');
    expect(data).toEqual(make({}));
  });

  it('leaves out what is neither plain nor a list of texts', async () => {
    const make = () => ({ access_key: 'a', session_token: null, n: 1, yes: true, deep: { a: 1 }, mixed: ['a', 1] });
    const { credential } = await house({}, { make });
    expect((await credential.make(requestFor())).data).toEqual({ access_key: 'a', n: 1, yes: true });
  });

  it.each<[string, Partial<FakeEngine>, Record<string, unknown>, string]>([
    ['nothing', { make: () => ({}) }, {}, 'unexpected_answer'],
    ['a number that we cannot hold', { make: () => ({ pin: 2 ** 60 }) }, {}, 'number_too_large'],
    ['no member of the name that is to be fingerprinted', {}, { fingerprint: 'token' }, 'no_such_member'],
    ['no text of that name', { make: () => ({ token: 7 }) }, { fingerprint: 'token' }, 'no_such_member'],
    ['no member of a name that every object has', {}, { fingerprint: 'constructor' }, 'no_such_member'],
  ])('ends at once what it cannot hand over: %s', async (_, engine, more, reason) => {
    const { fake, credential } = await house(more, engine);
    const refusal = await refusalOf(credential.make(requestFor()));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', reason]);
    expect(fake.leases.revocations).toHaveLength(1);
    expect(fake.leases.alive(path)).toEqual([]);
  });

  it('refuses a path that gives no lease: what is static is for a store', async () => {
    const { credential } = await house({}, { seconds: 0 });
    expect((await refusalOf(credential.make(requestFor()))).reason).toBe('no_lease');
  });

  it.each([
    { lease_duration: 60, data: { a: 'b' } },
    { lease_id: 'a/b', lease_duration: -1, data: { a: 'b' } },
    { lease_id: 'a/b', lease_duration: '60', data: { a: 'b' } },
    { lease_id: 'a/b\u0000', lease_duration: 60, data: { a: 'b' } },
    { lease_id: 7, lease_duration: 60, data: { a: 'b' } },
    {},
  ])('takes the answer %j for no lease', async (body) => {
    const { fake, credential } = await house();
    fake.server.instead = ({ url }) =>
      url.pathname.endsWith(path) ? { status: 200, body: JSON.stringify(body) } : undefined;
    expect((await refusalOf(credential.make(requestFor()))).reason).toMatch(/^(no_lease|unexpected_answer)$/);
  });

  it('sends nothing of whoever asks', async () => {
    const { fake, credential } = await house();
    for (const subject of hostileSubjects.filter((text) => text.length > 1)) {
      await credential.make(
        requestFor({ identity: { ...identity, subject, name: subject, claims: { sub: subject } } }),
      );
      const sent = fake.calls.map(({ url, headers, body }) => JSON.stringify([url.href, headers, body])).join();
      expect(sent).not.toContain(JSON.stringify(subject).slice(1, -1));
    }
  });
});

describe('the end of what a vault gives', () => {
  const near = (at: number | undefined, seconds: number) =>
    expect(Math.abs(Number(at) - Date.now() - seconds * 1000)).toBeLessThan(5_000);

  it('is that of the lease where it is sooner than asked', async () => {
    const { credential } = await house({}, { seconds: 120 });
    near((await credential.make(requestFor({ ttl: 600 }))).expiresAt, 120);
  });

  it('is that of the token under which it was leased where that is sooner still', async () => {
    const { fake, credential } = await house();
    fake.ttl = 60;
    near((await credential.make(requestFor({ ttl: 600 }))).expiresAt, 60);
  });

  it('is prolonged at the Vault, to what was asked', async () => {
    const { fake, credential } = await house({}, { seconds: 120 });
    const issued = await credential.make(requestFor({ ttl: 120 }));
    await credential.renew?.(lease(issued), Date.now() + 600_000, soon());
    const body = JSON.parse(callsOf(fake, 'sys/leases/renew')[0]?.body ?? '{}');
    expect(body).toMatchObject({ lease_id: issued.account });
    expect(Math.abs(body.increment - 600)).toBeLessThanOrEqual(1);
    expect(fake.leases.alive(path, Date.now() + 590_000)).toEqual([issued.account]);
  });

  it('is prolonged together with the token that the lease hangs on, and only where that ends sooner', async () => {
    const { fake, credential } = await house({}, { seconds: 120 });
    fake.ttl = 300;
    const issued = await credential.make(requestFor({ ttl: 120 }));
    await credential.renew?.(lease(issued), Date.now() + 200_000, soon());
    expect(callsOf(fake, 'auth/token/renew-accessor')).toHaveLength(0);
    await credential.renew?.(lease(issued), Date.now() + 600_000, soon());
    expect(callsOf(fake, 'auth/token/renew-accessor')).toHaveLength(1);
    expect(fake.leases.alive(path, Date.now() + 590_000)).toEqual([issued.account]);
  });

  it('is not prolonged where the token cannot be, though the Vault would say that it is', async () => {
    const { fake, credential } = await house({}, { seconds: 120 });
    fake.ttl = 300;
    fake.longest = 400;
    const issued = await credential.make(requestFor({ ttl: 120 }));
    const refusal = await refusalOf(
      credential.renew?.(lease(issued), Date.now() + 600_000, soon()) ?? Promise.resolve(),
    );
    expect(refusal.reason).toBe('token_too_short');
    fake.denied.add('auth/token/renew-accessor');
    const late = await refusalOf(credential.renew?.(lease(issued), Date.now() + 600_000, soon()) ?? Promise.resolve());
    expect(late.reason).toBe('denied');
    expect(callsOf(fake, 'sys/leases/renew')).toHaveLength(0);
  });

  it('is not prolonged where the Vault says so of another lease', async () => {
    const { fake, credential } = await house({}, { seconds: 120 });
    const issued = await credential.make(requestFor({ ttl: 120 }));
    const other = { lease_id: 'database/creds/orders/other', lease_duration: 86_400, renewable: true };
    fake.server.instead = ({ url }) =>
      url.pathname.endsWith('leases/renew') ? { status: 200, body: JSON.stringify(other) } : undefined;
    const work = credential.renew?.(lease(issued), Date.now() + 600_000, soon()) ?? Promise.resolve();
    expect((await refusalOf(work)).reason).toBe('too_short');
  });

  it('asks after no token where that is a batch token, with which the Vault itself counts', async () => {
    const { fake, credential } = await house({}, { seconds: 120 });
    fake.batch = true;
    const issued = await credential.make(requestFor({ ttl: 120 }));
    await credential.renew?.(lease(issued), Date.now() + 600_000, soon());
    expect(fake.calls.filter(({ url }) => url.pathname.includes('accessor'))).toEqual([]);
  });

  it.each<[string, Partial<FakeEngine>, (issued: Issued) => Lease, string]>([
    ['the Vault gives less', { longest: 300 }, (issued) => lease(issued), 'too_short'],
    ['it cannot be renewed', { renewable: false }, (issued) => lease(issued), 'invalid'],
    ['it is gone', {}, (issued) => lease(issued, { account: 'database/creds/orders/gone' }), 'invalid'],
    ['its handle is not shown', {}, ({ account = '' }) => ({ issuance: 'x', account }), 'no_handle'],
  ])('is not prolonged where %s', async (_, engine, about, reason) => {
    const { credential } = await house({}, { seconds: 120, ...engine });
    const issued = await credential.make(requestFor({ ttl: 120 }));
    const refusal = await refusalOf(
      credential.renew?.(about(issued), Date.now() + 600_000, soon()) ?? Promise.resolve(),
    );
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', reason]);
  });
});

describe('a Vault in trouble', () => {
  const troubles: [string, FakeAnswer | FakeFault, [code: string, reason: string]][] = [
    ['hangs', 'hang', ['store_timeout', 'slow']],
    ['drops the connection', 'reset', ['store_failed', 'connection_reset']],
    ['stops in the middle', 'cut', ['store_failed', 'truncated']],
    ['is sealed', { status: 503, body: '{"errors":["Vault is sealed"]}' }, ['store_failed', 'sealed']],
    ['answers 500', { status: 500, body: '{"errors":["canary"]}' }, ['store_failed', 'server_error']],
    ['answers with a page', { status: 200, body: '<html>canary' }, ['store_failed', 'not_json']],
    ['sends elsewhere', { status: 307, headers: { location: 'http://127.0.0.1:1/' } }, ['store_failed', 'redirect']],
    ['denies the path', { status: 403, body: '{"errors":["canary"]}' }, ['store_failed', 'denied']],
    ['has no such role', { status: 400, body: '{"errors":["unknown role: canary"]}' }, ['store_failed', 'invalid']],
    ['knows no such path', { status: 404, body: '{"errors":[]}' }, ['store_failed', 'absent']],
  ];
  it.each(troubles)(
    'that %s is a refusal of all that is asked, without a word of it, and in time',
    async (_, said, expected) => {
      const { fake, credential, log } = await house();
      const issued = await credential.make(requestFor());
      fake.server.instead = ({ url }) => (url.pathname.includes('/auth/') ? undefined : said);
      const from = Date.now();
      for (const work of [
        () => credential.make(requestFor({ deadline: soon(500) })),
        () => credential.undo(lease(issued), soon(500)),
        () => credential.renew?.(lease(issued), Date.now() + 60_000, soon(500)) ?? Promise.resolve(),
      ]) {
        const refusal = await refusalOf(work());
        expect([refusal.code, refusal.reason]).toEqual(expected);
        expect(JSON.stringify([refusal.options, log])).not.toContain('canary');
      }
      expect(Date.now() - from).toBeLessThan(5_000);
    },
  );

  it('takes as ended what an older one no longer knows', async () => {
    const { fake, credential } = await house();
    const issued = await credential.make(requestFor());
    fake.server.instead = ({ url }) =>
      url.pathname.endsWith('/revoke') ? { status: 400, body: '{"errors":["lease not found"]}' } : undefined;
    await credential.undo(lease(issued), soon());
  });

  it('that has forgotten our token is logged in to once more within the call', async () => {
    const { fake, us, credential } = await house();
    await credential.make(requestFor());
    fake.killTokens();
    await credential.make(requestFor());
    expect(us.made).toHaveLength(2);
  });
});

describe('the config of a vault', () => {
  const entry = { kind: 'vault', address: 'https://bao.example.com', role: 'hallpass', path };

  it('names a path of a secrets engine', () => {
    expect(faultsOf(entry)).toEqual([]);
    for (const wrong of [
      'database',
      '/database/creds/x',
      'database/creds/',
      'database/../sys/x',
      'a b/c',
      'a/b?list=true',
      'a/%2e%2e/b',
      'sys/leases/lookup',
      'auth/token/create',
      'identity/oidc/token/x',
      'cubbyhole/x',
      `a/${'b'.repeat(600)}`,
    ])
      expect(faultsOf({ ...entry, path: wrong })).not.toEqual([]);
    expect(faultsOf({ ...entry, path: 'system/creds/authors' })).toEqual([]);
  });

  it('gives parameters to a write alone, as texts', () => {
    const parameters = { common_name: 'x' };
    expect(faultsOf({ ...entry, method: 'write', parameters })).toEqual([]);
    expect(faultsOf({ ...entry, parameters })).toEqual(['parameters: only a write takes parameters']);
    expect(faultsOf({ ...entry, method: 'write', parameters: { ttl: 5 } })).not.toEqual([]);
    expect(faultsOf({ ...entry, method: 'delete' })).not.toEqual([]);
  });

  it('takes no token, and no entry that could not log in', () => {
    expect(faultsOf({ ...entry, token: 'x' })).not.toEqual([]);
    expect(faultsOf({ ...entry, auth: 'kubernetes' })).not.toEqual([]);
    expect(faultsOf({ ...entry, namespace: '../x' })).not.toEqual([]);
  });
});
