import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { githubToken as plugIn } from '../../src/credentials/github-token.ts';
import type { Issued, KindDeps, ReadCredential } from '../../src/credentials/kind.ts';
import { sha256 } from '../../src/lib/bytes.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { LogFacts } from '../../src/lib/platform.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { JsonObject } from '../../src/lib/strict-json.ts';
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
import { type FakeGithub, startGithub } from '../fakes/github.ts';
import type { FakeAnswer, FakeFault } from '../fakes/server.ts';

const open: FakeGithub[] = [];
afterEach(async () => {
  for (const fake of open.splice(0)) await fake.close();
});

interface House {
  readonly fake: FakeGithub;
  readonly entry: { readonly kind: 'github-token' } & Record<string, unknown>;
  readonly deps: KindDeps;
  readonly log: [event: string, facts: LogFacts | undefined][];
  readonly credential: ReadCredential;
}

const permissions = { contents: 'read', pull_requests: 'write' };

async function house(more: Record<string, unknown> = {}, changes: Partial<KindDeps> = {}, prefix = ''): Promise<House> {
  const fake = await startGithub({ prefix });
  open.push(fake);
  fake.installations.set('678', {
    owner: 'acme',
    repositories: new Map([
      [1, 'Shop'],
      [2, 'site'],
      [3, 'payroll'],
    ]),
    permissions: { contents: 'write', pull_requests: 'write', administration: 'write' },
  });
  const entry = {
    kind: 'github-token',
    app: fake.app.id,
    key: { store: 'here', name: 'app' },
    installation: '678',
    permissions,
    api: fake.api,
    ...('repositoryIds' in more ? {} : { repositories: ['shop', 'site'] }),
    ...more,
  } as const;
  const log: House['log'] = [];
  const tell = (_: unknown, event: string, facts?: LogFacts) => void log.push([event, facts]);
  const deps = { ...depsFor({ app: fake.privateKey }), log: tell, ...changes };
  return { fake, entry, deps, log, credential: (await openKind(entry, deps)) as ReadCredential };
}

const soon = () => deadlineIn(5_000, Date.now);
const end = (credential: ReadCredential, { kept }: Pick<Issued, 'kept'>) =>
  credential.end?.({ issuance: 'x', ...(kept !== undefined && { kept }) }, soon());
const asks = ({ calls }: FakeGithub) => calls.filter(({ method }) => method === 'POST');

describeKind(
  'github-token',
  { members: ['token', 'repositories', 'permissions'], fingerprinted: 'token' },
  async () => {
    const { entry, deps } = await house();
    return { entry, deps };
  },
);

describe('github-token', () => {
  it('hands over a token for the repositories and permissions of the config, and says so', async () => {
    const { fake, credential } = await house();
    const issued = await credential.read(requestFor());
    const token = String(issued.data.token);
    expect(issued.data).toEqual({
      token,
      repositories: ['acme/Shop', 'acme/site'],
      permissions: { ...permissions, metadata: 'read' },
    });
    expect(fake.tokens.get(token)).toMatchObject({ repositories: ['acme/Shop', 'acme/site'] });
    expect(asks(fake).map(({ body }) => JSON.parse(body))).toEqual([{ permissions, repositories: ['shop', 'site'] }]);
    // What GitHub's audit log calls it.
    expect(issued.account).toBe(Buffer.from(sha256(token)).toString('base64'));
    expect(issued.expiresAt).toBeUndefined();
  });

  it('asks by id where the config names ids, and for all only where it says all', async () => {
    const byId = await house({ repositoryIds: [3] });
    expect((await byId.credential.read(requestFor())).data.repositories).toEqual(['acme/payroll']);
    expect(JSON.parse(asks(byId.fake)[0]?.body ?? '')).toEqual({ permissions, repository_ids: [3] });
    const all = await house({ repositories: 'all' });
    expect((await all.credential.read(requestFor())).data.repositories).toBe('all');
    expect(JSON.parse(asks(all.fake)[0]?.body ?? '')).toEqual({ permissions });
  });

  it('proves the App by id or by client id, for ten minutes that begin a minute ago, once for all who ask meanwhile', async () => {
    const { fake, credential } = await house({ app: 'Iv23testclient' });
    await Promise.all([1, 2, 3].map(() => credential.read(requestFor())));
    expect(new Set(fake.proofs.map((claims) => JSON.stringify(claims))).size).toBe(1);
    const { iss, iat, exp, ...more } = fake.proofs[0] as JsonObject;
    expect([iss, Number(exp) - Number(iat), more]).toEqual(['Iv23testclient', 600, {}]);
    expect(Math.abs(Number(iat) + 60 - Date.now() / 1000)).toBeLessThan(5);
  });

  it('makes a new proof before the old one ends', async () => {
    let at = Date.now();
    const { fake, credential } = await house({}, { now: () => at });
    fake.now = () => at;
    for (const later of [0, 300_000, 100_000]) {
      at += later;
      await credential.read(requestFor({ deadline: deadlineIn(5_000, () => at) }));
    }
    expect(fake.proofs.map(({ exp }) => exp)).toHaveLength(3);
    expect(new Set(fake.proofs.map(({ exp }) => exp)).size).toBe(2);
  });

  it.each([-50, 50])('proves the App where our clock is %d seconds off', async (seconds) => {
    const { fake, credential } = await house();
    fake.now = () => Date.now() + seconds * 1000;
    await credential.read(requestFor());
    expect(fake.proofs).toHaveLength(1);
  });

  it('takes the key as PKCS#1 and as PKCS#8, with spaces around it', async () => {
    const { fake, entry, deps } = await house();
    const pkcs8 = createPrivateKey(fake.privateKey).export({ type: 'pkcs8', format: 'pem' }) as string;
    for (const pem of [fake.privateKey, pkcs8, `\n${pkcs8}\n\n`]) {
      const read: KindDeps['read'] = async ({ store }) => ({ value: new Secret(pem), version: '1', store });
      const credential = (await openKind(entry, { ...deps, read })) as ReadCredential;
      expect((await credential.read(requestFor())).data.token).toMatch(/^ghs_/);
    }
  });

  it('says of a key that is none no more than that, and asks GitHub nothing', async () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
    const format = { type: 'pkcs8', format: 'pem' } as const;
    const { fake, entry, deps, log } = await house();
    const locked = createPrivateKey(fake.privateKey).export({ ...format, cipher: 'aes-128-cbc', passphrase: 'x' });
    const keys = ['canary', '', fake.privateKey.slice(0, 200), ec.export(format), short.export(format), locked];
    for (const key of keys) {
      const read: KindDeps['read'] = async ({ store }) => ({ value: new Secret(String(key)), version: '1', store });
      const refusal = await refusalOf(
        ((await openKind(entry, { ...deps, read })) as ReadCredential).read(requestFor()),
      );
      expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'bad_key']);
      expect(JSON.stringify([refusal.options, log])).not.toMatch(/canary|BEGIN|PRIVATE/);
    }
    expect(fake.calls).toEqual([]);
  });

  it('reads the key again where GitHub takes the proof no more: it may have been changed there', async () => {
    const { fake, credential, deps } = await house();
    await credential.read(requestFor());
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
    fake.key = createPublicKey(other.privateKey);
    const refusal = await refusalOf(credential.read(requestFor()));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'login_refused']);
    let reads = 0;
    const changed = (await openKind((await house({ api: fake.api })).entry, {
      ...deps,
      read: async ({ store }) => {
        const key = reads++ === 0 ? fake.privateKey : other.privateKey.export({ type: 'pkcs1', format: 'pem' });
        return { value: new Secret(String(key)), version: '1', store };
      },
    })) as ReadCredential;
    expect((await changed.read(requestFor())).data.token).toMatch(/^ghs_/);
  });

  it('takes the long tokens as it takes the short', async () => {
    const { fake, credential } = await house();
    fake.newToken = () => `ghs_12345_${'e'.repeat(300)}.${'p'.repeat(200)}.${'s'.repeat(86)}`;
    const issued = await credential.read(requestFor());
    expect(issued.fingerprinted?.revealText()).toBe(issued.data.token);
    expect(await end(credential, issued)).toBe(true);
    expect(fake.tokens.size).toBe(0);
  });

  it('ends the lease with the token where that ends sooner', async () => {
    const { fake, credential } = await house();
    const request = requestFor({ ttl: 3600 });
    fake.change = (answer) => ({ ...answer, expires_at: new Date(request.now + 60_000).toISOString() });
    expect((await credential.read(request)).expiresAt).toBe(request.now + 60_000);
    expect(credential.maxTtl).toBe(3600);
  });

  it('works at an Enterprise Server, whose API is below a path', async () => {
    const { credential, fake } = await house({}, {}, '/api/v3');
    const issued = await credential.read(requestFor());
    expect(await end(credential, issued)).toBe(true);
    expect(fake.calls.map(({ method, url }) => `${method} ${url.pathname}`)).toEqual([
      'POST /api/v3/app/installations/678/access_tokens',
      'DELETE /api/v3/installation/token',
    ]);
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
});

describe('the end of a github-token', () => {
  it('comes at once, again and again, and for one that GitHub has ended itself', async () => {
    const { fake, credential } = await house();
    const issued = await credential.read(requestFor());
    expect(fake.tokens.size).toBe(1);
    for (const _ of [1, 2]) expect(await end(credential, issued)).toBe(true);
    expect(fake.tokens.size).toBe(0);
    expect(await end(credential, { kept: 'ghs_never_made' })).toBe(true);
  });

  it('ends that one alone', async () => {
    const { fake, credential } = await house();
    const [one, two] = await Promise.all([credential.read(requestFor()), credential.read(requestFor())]);
    expect(one.data.token).not.toBe(two.data.token);
    await end(credential, one);
    expect([...fake.tokens.keys()]).toEqual([two.data.token]);
  });

  it('cannot come early without the handle, in which the token is kept', async () => {
    const { fake, credential } = await house();
    await credential.read(requestFor());
    expect(await end(credential, {})).toBe(false);
    expect(fake.tokens.size).toBe(1);
  });

  it('is not known to have come where GitHub does not say so', async () => {
    const { fake, credential } = await house();
    const issued = await credential.read(requestFor());
    for (const [said, code] of [
      [{ status: 500, body: '{"message":"canary"}' }, 'store_failed'],
      [{ status: 404, body: '{"message":"Not Found"}' }, 'store_failed'],
      ['hang', 'store_timeout'],
      ['reset', 'store_failed'],
    ] as const) {
      fake.server.instead = () => said;
      const lease = { issuance: 'x', kept: String(issued.kept) };
      const refusal = await refusalOf(credential.end?.(lease, deadlineIn(500, Date.now)) ?? Promise.resolve());
      expect(refusal.code).toBe(code);
      expect(JSON.stringify(refusal.options)).not.toContain('canary');
    }
  });
});

describe('a github-token that is for more than was asked', () => {
  const repository = { id: 3, name: 'payroll', full_name: 'acme/payroll' };
  it.each<[string, (answer: JsonObject) => JsonObject]>([
    ['has one permission more', (answer) => ({ ...answer, permissions: { contents: 'read', administration: 'read' } })],
    ['has a higher level', (answer) => ({ ...answer, permissions: { contents: 'write' } })],
    ['has a level nobody knows', (answer) => ({ ...answer, permissions: { contents: 'owner' } })],
    ['writes metadata', (answer) => ({ ...answer, permissions: { metadata: 'write' } })],
    [
      'has a permission of a name that every object has',
      (answer) => ({ ...answer, permissions: { constructor: 'read' } }),
    ],
    [
      'is for one repository more',
      (answer) => ({ ...answer, repositories: [...(answer.repositories as []), repository] }),
    ],
    ['is for another repository', (answer) => ({ ...answer, repositories: [repository] })],
    ['is for all of them', ({ repositories: _, ...answer }) => answer],
    ['says no permissions', ({ permissions: _, ...answer }) => answer],
    ['says no end', ({ expires_at: _, ...answer }) => answer],
    ['is over', (answer) => ({ ...answer, expires_at: '2020-01-01T00:00:00Z' })],
  ])('is ended at once and handed to nobody: it %s', async (_, change) => {
    const { fake, credential, log } = await house();
    fake.change = change;
    const refusal = await refusalOf(credential.read(requestFor()));
    expect(refusal.code).toBe('store_failed');
    expect(refusal.reason).toMatch(/^(wider_than_asked|unexpected_answer)$/);
    expect(fake.tokens.size).toBe(0);
    expect(JSON.stringify([refusal.options, log])).not.toContain('ghs_');
  });

  it('is refused, and the operator told, where it cannot be ended', async () => {
    const { fake, credential, log } = await house();
    fake.change = (answer) => ({ ...answer, permissions: { administration: 'write' } });
    fake.server.instead = ({ method }) => (method === 'DELETE' ? { status: 500, body: '{}' } : undefined);
    expect((await refusalOf(credential.read(requestFor()))).reason).toBe('wider_than_asked');
    expect(log.map(([, facts]) => [facts?.step, facts?.reason])).toEqual([
      ['revoke', 'server_error'],
      ['token', 'wider_than_asked'],
    ]);
  });
});

describe('GitHub in trouble', () => {
  const troubles: [string, FakeAnswer | FakeFault, [code: string, reason: string]][] = [
    ['hangs', 'hang', ['store_timeout', 'slow']],
    ['drops the connection', 'reset', ['store_failed', 'connection_reset']],
    ['stops in the middle', 'cut', ['store_failed', 'truncated']],
    ['answers 502', { status: 502, body: '<html>canary' }, ['store_failed', 'server_error']],
    ['sends elsewhere', { status: 301, headers: { location: 'http://127.0.0.1:1/' } }, ['store_failed', 'redirect']],
    ['has no token', { status: 201, body: '{"token":null}' }, ['store_failed', 'unexpected_answer']],
    ['has suspended us', { status: 403, body: '{"message":"canary suspended"}' }, ['store_failed', 'denied']],
    [
      'limits us',
      { status: 403, body: '{"message":"API rate limit exceeded. canary"}' },
      ['store_failed', 'throttled'],
    ],
    ['knows no such installation', { status: 404, body: '{"message":"canary"}' }, ['store_failed', 'absent']],
    ['gives less than is asked', { status: 422, body: '{"message":"canary"}' }, ['store_failed', 'invalid']],
    ['answers without end', { status: 201, body: 'x'.repeat(200_000) }, ['store_failed', 'too_large']],
  ];
  it.each(troubles)('that %s is a refusal without a word of it, and in time', async (_, said, expected) => {
    const { fake, credential, log } = await house();
    fake.server.instead = () => said;
    const from = Date.now();
    const refusal = await refusalOf(credential.read(requestFor({ deadline: deadlineIn(1_000, Date.now) })));
    expect([refusal.code, refusal.reason]).toEqual(expected);
    expect(Date.now() - from).toBeLessThan(3_000);
    expect(JSON.stringify([refusal.options, log])).not.toContain('canary');
  });

  it('is asked for exactly what the config says, and refuses what the installation has not', async () => {
    for (const more of [
      { repositories: ['nowhere'] },
      { permissions: { administration: 'admin' } },
      { repositoryIds: [9] },
    ])
      expect((await refusalOf((await house(more)).credential.read(requestFor()))).reason).toBe('invalid');
  });

  it('is not asked where the store has no key', async () => {
    const gone = () => Promise.reject(new Refusal('store_failed', 'absent'));
    const { fake, credential } = await house({}, { read: gone });
    expect(await refusalOf(credential.read(requestFor()))).toMatchObject({ code: 'store_failed', reason: 'absent' });
    expect(fake.calls).toEqual([]);
  });
});

describe('the config of a github-token', () => {
  const entry = {
    kind: 'github-token',
    app: '12345',
    key: { store: 'here', name: 'app' },
    installation: '678',
    repositories: ['shop'],
    permissions: { contents: 'read' },
  };

  it('names repositories one way, and permissions', () => {
    expect(faultsOf(entry)).toEqual([]);
    const { repositories: _, ...nowhere } = entry;
    expect(faultsOf({ ...nowhere, repositoryIds: [1] })).toEqual([]);
    const { permissions: __, ...anything } = entry;
    const wrong = [
      nowhere,
      { ...entry, repositoryIds: [1] },
      { ...entry, repositories: [] },
      { ...entry, repositories: 'every' },
      { ...entry, repositories: ['acme/shop'] },
      { ...entry, repositories: ['..'] },
      { ...nowhere, repositoryIds: [] },
      { ...nowhere, repositoryIds: ['1'] },
      { ...nowhere, repositoryIds: [0.5] },
      anything,
      { ...entry, permissions: {} },
      { ...entry, permissions: { contents: 'all' } },
      { ...entry, permissions: { 'contents\n': 'read' } },
    ];
    for (const one of wrong) expect(faultsOf(one)).not.toEqual([]);
  });

  it('takes ids that fit into a path, the key by reference alone, and lives an hour at most', () => {
    const wrong = [
      { ...entry, installation: '../1' },
      { ...entry, installation: 678 },
      { ...entry, installation: '0' },
      { ...entry, app: '' },
      { ...entry, app: 'a/b' },
      { ...entry, key: 'not a reference' },
      { ...entry, ttl: '61m' },
      { ...entry, api: 'http://github.example.com' },
    ];
    for (const one of wrong) expect(faultsOf(one)).not.toEqual([]);
  });

  it('counts the App’s key as a secret that lives long', () => {
    expect(plugIn.holds?.(entry)).toEqual(['the App’s private key, app in the store here']);
  });
});
