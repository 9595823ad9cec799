import { describe, expect, test } from 'vitest';
import { presetOf, presets, shapeOf } from '../../src/identity/index.ts';
import * as s from '../../src/lib/schema/index.ts';
import { goodHeader, makeKey, makeToken, nowSeconds, outcome, verifierOf } from './issuer.ts';
import { entraV1, entryOf, type Platform, platforms, terraformStackClaims } from './platforms.ts';

const keys = { RS256: makeKey('RS256', 'rsa'), ES256: makeKey('ES256', 'ec'), ES384: makeKey('ES384', 'ec384') };
const named: readonly (readonly [string, Platform])[] = [
  ...platforms.map((platform) => [platform.preset, platform] as const),
  ['azure, version 1.0', entraV1],
];

const keyUse = ({ preset }: Platform) => (preset === 'spiffe' ? 'jwt-svid' : 'sig');

const tokenOf = ({ claims, alg }: Platform, changes: Record<string, unknown> = {}) =>
  makeToken(keys[alg], { ...claims, ...changes });

test('every preset but the older ones and the one without tokens has a platform here', () => {
  const older = ['generic', 'github-actions', 'kubernetes', 'worker-binding'];
  const all = presets.map(({ name }) => name).filter((name) => !older.includes(name));
  expect(platforms.map(({ preset }) => preset)).toEqual(all);
});

describe.each(named)('%s', (_, platform) => {
  const entry = entryOf(platform, keys[platform.alg]);
  const verifier = verifierOf({ them: entry });

  test('takes the entry and finds no fault with it', () => {
    const preset = presetOf(entry);
    expect(s.safeParse(preset?.schema as never, entry).error?.issues).toBeUndefined();
    expect(preset?.check(entry)).toEqual([]);
  });

  test('verifies a token as the platform signs it', async () => {
    const identity = await outcome(verifier, tokenOf(platform));
    expect(identity).toMatchObject({
      issuer: 'them',
      iss: platform.claims.iss ?? 'spiffe://example.org',
      subject: platform.claims.sub,
      name: `them:${platform.path}`,
      members: platform.members,
      disclosed: platform.disclosed,
      expiresAt: (platform.claims.exp as number) * 1000,
    });
  });

  test('gives members that its shape has, each of the type it says', async () => {
    const identity = await outcome(verifier, tokenOf(platform));
    const { members } = shapeOf(entry);
    if (typeof identity === 'string') throw new Error(identity);
    for (const [name, value] of Object.entries(identity.members)) {
      expect(typeof value, name).toBe(members[name]?.type);
    }
  });

  test('discloses nothing that is not in the token', async () => {
    const identity = await outcome(verifier, tokenOf(platform));
    if (typeof identity === 'string') throw new Error(identity);
    expect(platform.claims).toMatchObject(identity.disclosed);
  });

  if (platform.foreign.length > 0) {
    test.each(platform.foreign)('22: does not verify another tenant’s: %j', async (changes) => {
      expect(await outcome(verifier, tokenOf(platform, changes))).toBe('token_invalid: tenant');
    });
  }

  test.each(platform.wrong)('26 and 29: refuses a token with %s', async (_, changes) => {
    expect(await outcome(verifier, tokenOf(platform, changes))).toBe('token_invalid: claims');
  });

  test('accepts the longest life it is known for, and not a second more', async () => {
    const lasting = (seconds: number) => tokenOf(platform, { iat: nowSeconds, exp: nowSeconds + seconds });
    expect(await outcome(verifier, lasting(platform.lifetime))).toMatchObject({ issuer: 'them' });
    expect(await outcome(verifier, lasting(platform.lifetime + 1))).toBe('token_invalid: lifetime');
  });

  test('refuses a fetched key of an algorithm that the platform does not sign with', async () => {
    const ed = makeKey('EdDSA', 'ed');
    const { jwks: _, ...fetched } = entryOf(platform);
    const source = platform.preset === 'spiffe' ? 'bundle' : 'jwksUri';
    const set = { keys: [keys[platform.alg], ed].map(({ jwk }) => ({ ...jwk, use: keyUse(platform) })) };
    const remote = { ...fetched, [source]: 'https://keys.example/jwks' };
    const moving = verifierOf({ them: remote }, { fetch: async () => Response.json(set) });
    expect(await outcome(moving, tokenOf(platform))).toMatchObject({ issuer: 'them' });
    expect(await outcome(moving, makeToken(ed, platform.claims))).toBe('token_invalid: algorithm');
  });

  test.each([
    ['another audience', { aud: 'https://other.example' }, 'audience'],
    ['another issuer', { iss: 'https://other.example' }, 'issuer'],
  ])('refuses a token with %s', async (_, changes, reason) => {
    expect(await outcome(verifier, tokenOf(platform, changes))).toBe(`token_invalid: ${reason}`);
  });
});

describe('gitlab', () => {
  const [platform] = platforms.filter(({ preset }) => preset === 'gitlab') as [Platform];
  const verifier = verifierOf({ them: entryOf(platform, keys.RS256) });

  test.each([
    'project_path:acme/platform/shop',
    'project_path:acme/platform/shop:ref_type:branch:ref:feature/1:environment_protected:true',
    'project_path:acme/platform/shop:ref_protected:false',
    'project_path:acme/platform/shop:environment_protected:true:deployment_tier:production',
  ])('understands the subject %s', async (sub) => {
    expect(await outcome(verifier, tokenOf(platform, { sub }))).toMatchObject({ subject: sub });
  });

  test('names a tag by its kind', async () => {
    const sub = 'project_path:acme/platform/shop:ref_type:tag:ref:v1';
    const tag = tokenOf(platform, { ref: 'v1', ref_type: 'tag', ref_path: 'refs/tags/v1', sub });
    expect(await outcome(verifier, tag)).toMatchObject({ name: 'them:acme/platform/shop@tags%2Fv1' });
    const lookalike = 'project_path:acme/platform/shop:ref_type:branch:ref:tags/v1';
    const branch = tokenOf(platform, { ref: 'tags/v1', ref_type: 'branch', sub: lookalike });
    expect(await outcome(verifier, branch)).toMatchObject({ name: 'them:acme/platform/shop@heads%2Ftags%2Fv1' });
  });

  test('a project alone binds too, and a recycled path with another id is another tenant', async () => {
    const { namespace: _, ...rest } = entryOf(platform, keys.RS256);
    const bound = verifierOf({ them: { ...rest, project: { id: '20' } } });
    expect(await outcome(bound, tokenOf(platform))).toMatchObject({ issuer: 'them' });
    expect(await outcome(bound, tokenOf(platform, { project_id: '21' }))).toBe('token_invalid: tenant');
  });

  test('an instance of one’s own needs no binding', async () => {
    const own = { ...entryOf(platform, keys.RS256), issuer: 'https://gitlab.example.com', namespace: undefined };
    const token = tokenOf(platform, { iss: own.issuer, namespace_id: '99' });
    expect(await outcome(verifierOf({ them: own }), token)).toMatchObject({ iss: own.issuer });
  });

  test('merge requests verify, but only a grant that names their source may match them', () => {
    expect(shapeOf({ preset: 'gitlab' }).requireNamed?.pipeline_source).toContain('merge_request_event');
  });
});

test('aws: a user and the root of the account are told apart from roles', async () => {
  const [platform] = platforms.filter(({ preset }) => preset === 'aws') as [Platform];
  const verifier = verifierOf({ them: entryOf(platform, keys.ES384) });
  for (const [sub, name] of [
    ['arn:aws:iam::123456789012:user/ci/bot', 'them:123456789012/user/ci/bot'],
    ['arn:aws:iam::123456789012:root', 'them:123456789012/root'],
    ['arn:aws-us-gov:iam::123456789012:role/Reader', 'them:123456789012/Reader'],
    ['arn:aws:iam::123456789012:role/user/ci/bot', 'them:123456789012/role/user/ci/bot'],
    ['arn:aws:iam::123456789012:role/root', 'them:123456789012/role/root'],
    ['arn:aws:iam::123456789012:role/role/root', 'them:123456789012/role/role/root'],
  ]) {
    expect(await outcome(verifier, tokenOf(platform, { sub }))).toMatchObject({ name, members: { arn: sub } });
  }
});

test('gcp: a token of format standard is named by its account, one without email by its id', async () => {
  const [platform] = platforms.filter(({ preset }) => preset === 'gcp') as [Platform];
  const { project: _, ...entry } = entryOf(platform, keys.RS256);
  const verifier = verifierOf({ them: entry });
  const standard = tokenOf(platform, { google: undefined });
  expect(await outcome(verifier, standard)).toMatchObject({ name: 'them:acme-core/checkout' });
  const bare = await outcome(
    verifier,
    tokenOf(platform, { google: undefined, email: undefined, email_verified: undefined }),
  );
  expect(bare).toMatchObject({ name: 'them:107517467455664443765', members: { sub: '107517467455664443765' } });
  expect(bare).not.toHaveProperty('members.email');
});

test('azure: one entry takes both versions, each with keys of its own', async () => {
  const asked: string[] = [];
  const [platform] = platforms.filter(({ preset }) => preset === 'azure') as [Platform];
  const fetch = async (url: string) => {
    asked.push(url);
    return Response.json({ keys: [keys.RS256.jwk] });
  };
  const verifier = verifierOf({ them: { preset: 'azure', ...platform.entry } }, { fetch });
  expect(await outcome(verifier, tokenOf(platform))).toMatchObject({ issuer: 'them' });
  expect(await outcome(verifier, tokenOf(entraV1))).toMatchObject({ issuer: 'them' });
  const tenant = platform.entry.tenant;
  expect(asked).toEqual([
    `https://login.microsoftonline.com/${tenant}/discovery/v2.0/keys`,
    `https://login.microsoftonline.com/${tenant}/discovery/keys`,
  ]);
});

test('circleci: a job that somebody can log in to is got only by a grant that says so', async () => {
  const [platform] = platforms.filter(({ preset }) => preset === 'circleci') as [Platform];
  const verifier = verifierOf({ them: entryOf(platform, keys.RS256) });
  const rerun = tokenOf(platform, { 'oidc.circleci.com/ssh-rerun': true });
  expect(await outcome(verifier, rerun)).toMatchObject({ members: { 'ssh-rerun': true } });
  expect(shapeOf({ preset: 'circleci' }).requireNamed).toEqual({ 'ssh-rerun': [true] });
  const second = `${platform.claims.sub}/vcs-origin/github.com/acme/shop/vcs-ref/refs/heads/main`;
  expect(await outcome(verifier, tokenOf(platform, { sub: second }))).toMatchObject({ subject: second });
});

test('circleci: a job without a repository is named by its project', async () => {
  const [platform] = platforms.filter(({ preset }) => preset === 'circleci') as [Platform];
  const verifier = verifierOf({ them: entryOf(platform, keys.RS256) });
  const bare = tokenOf(platform, { 'oidc.circleci.com/vcs-origin': '', 'oidc.circleci.com/vcs-ref': '' });
  const project = platform.claims['oidc.circleci.com/project-id'];
  expect(await outcome(verifier, bare)).toMatchObject({ name: `them:${project}` });
});

test('buildkite: a job may ask for one of its ids as its subject', async () => {
  const [platform] = platforms.filter(({ preset }) => preset === 'buildkite') as [Platform];
  const verifier = verifierOf({ them: entryOf(platform, keys.RS256) });
  const sub = platform.claims.pipeline_id;
  expect(await outcome(verifier, tokenOf(platform, { sub }))).toMatchObject({ subject: sub });
});

test('terraform-cloud: a stack’s deployment is named by its operation', async () => {
  const [platform] = platforms.filter(({ preset }) => preset === 'terraform-cloud') as [Platform];
  const verifier = verifierOf({ them: entryOf(platform, keys.RS256) });
  expect(await outcome(verifier, makeToken(keys.RS256, terraformStackClaims))).toMatchObject({
    name: 'them:acme/Default%20Project/shop/eu@plan',
    members: { terraform_stack_id: 'st-0000000000000000', terraform_operation: 'plan' },
  });
  const other = { ...terraformStackClaims, terraform_stack_deployment_name: 'us' };
  expect(await outcome(verifier, makeToken(keys.RS256, other))).toBe('token_invalid: claims');
});

describe('spiffe', () => {
  const [platform] = platforms.filter(({ preset }) => preset === 'spiffe') as [Platform];
  const entry = entryOf(platform, keys.ES256);
  const verifier = verifierOf({ them: entry });
  const svid = (changes: Record<string, unknown>, header = goodHeader(keys.ES256)) =>
    makeToken(keys.ES256, { ...platform.claims, ...changes }, header);

  test('a trust domain that is not configured is no issuer', async () => {
    for (const sub of [
      'spiffe://evil.example/ns/shop',
      'spiffe://example.org.evil.example/ns',
      'spiffe://EXAMPLE.org/ns',
    ]) {
      expect(await outcome(verifier, svid({ sub }))).toBe('token_invalid: issuer');
    }
  });

  test('22: with an issuer, another trust domain under it is another tenant', async () => {
    const withIssuer = verifierOf({ them: { ...entry, issuer: 'https://spire.example.org' } });
    const iss = 'https://spire.example.org';
    expect(await outcome(withIssuer, svid({ iss }))).toMatchObject({ iss });
    expect(await outcome(withIssuer, svid({ iss, sub: 'spiffe://other.example/ns' }))).toBe('token_invalid: tenant');
    expect(await outcome(withIssuer, svid({}))).toBe('token_invalid: issuer');
  });

  test('two trust domains never share a key', async () => {
    const stranger = makeKey('ES256', 'ec');
    const both = verifierOf({
      them: entry,
      others: { ...entryOf(platform, stranger), trustDomain: 'other.example' },
    });
    const crossed = makeToken(stranger, platform.claims);
    expect(await outcome(both, crossed)).toBe('token_invalid: signature');
    const own = makeToken(stranger, { ...platform.claims, sub: 'spiffe://other.example/ns' });
    expect(await outcome(both, own)).toMatchObject({ issuer: 'others' });
  });

  test('a subject may have 2,048 bytes and no more', async () => {
    const long = `spiffe://example.org/${'a'.repeat(2048 - 21)}`;
    expect(await outcome(verifier, svid({ sub: long }))).toMatchObject({ subject: long });
    expect(await outcome(verifier, svid({ sub: `${long}a` }))).toBe('token_invalid: subject');
  });

  test('iat may be absent and must be an instant where it is there; exp is bounded all the same', async () => {
    expect(await outcome(verifier, svid({ exp: nowSeconds + 3600 }))).toMatchObject({ issuer: 'them' });
    expect(await outcome(verifier, svid({ exp: nowSeconds + 3601 }))).toBe('token_invalid: lifetime');
    expect(await outcome(verifier, svid({ exp: undefined }))).toBe('token_invalid: lifetime');
    expect(await outcome(verifier, svid({ exp: nowSeconds - 30 }))).toMatchObject({ issuer: 'them' });
    expect(await outcome(verifier, svid({ exp: nowSeconds - 60 }))).toBe('token_invalid: expired');
    expect(await outcome(verifier, svid({ iat: String(nowSeconds) }))).toBe('token_invalid: lifetime');
    expect(await outcome(verifier, svid({ iat: null }))).toBe('token_invalid: lifetime');
    expect(await outcome(verifier, svid({ iat: nowSeconds + 61 }))).toBe('token_invalid: not_yet');
  });

  test.each(['JWT', 'JOSE', undefined])('typ may be %s', async (typ) => {
    expect(await outcome(verifier, svid({}, goodHeader(keys.ES256, { typ })))).toMatchObject({ issuer: 'them' });
  });

  test('a header that the standard does not know is refused, x5t too', async () => {
    expect(await outcome(verifier, svid({}, goodHeader(keys.ES256, { x5t: 'abc' })))).toBe('token_invalid: header');
  });

  test('typ JOSE is spiffe’s alone', async () => {
    const [vercel] = platforms.filter(({ preset }) => preset === 'vercel') as [Platform];
    const token = makeToken(keys.RS256, vercel.claims, goodHeader(keys.RS256, { typ: 'JOSE' }));
    expect(await outcome(verifierOf({ them: entryOf(vercel, keys.RS256) }), token)).toBe('token_invalid: header');
  });

  test('without kid the only key is meant, where the config allows it, and none of two', async () => {
    const bare = svid({}, { alg: 'ES256' });
    expect(await outcome(verifier, bare)).toBe('token_invalid: header');
    const allowed = verifierOf({ them: { ...entry, withoutKid: true } });
    expect(await outcome(allowed, bare)).toMatchObject({ issuer: 'them' });
    const two = { ...entryOf(platform, keys.ES256, makeKey('ES256', 'second')), withoutKid: true };
    expect(await outcome(verifierOf({ them: two }), bare)).toBe('token_invalid: kid');
    expect(await outcome(allowed, svid({}, goodHeader(keys.ES256, { kid: 'other' })))).toBe('token_invalid: kid');
  });

  test('only keys for JWT-SVIDs verify one, and those for X.509 are passed over', async () => {
    const x509 = { ...makeKey('ES256', 'x').jwk, use: 'x509-svid', x5c: ['AA=='] };
    const jwks = { keys: [x509, { ...keys.ES256.jwk, use: 'jwt-svid' }] };
    expect(await outcome(verifierOf({ them: { ...entry, jwks } }), svid({}))).toMatchObject({ issuer: 'them' });
    const none = { ...entry, jwks: { keys: [{ ...keys.ES256.jwk, use: 'x509-svid' }] } };
    expect(presetOf(none)?.check(none)).toMatchObject([{ path: ['jwks', 'keys'] }]);
  });

  test('a key for JWT-SVIDs is no key of any other issuer', () => {
    const jwks = { keys: [{ ...keys.ES256.jwk, use: 'jwt-svid' }] };
    expect(presetOf({})?.check({ issuer: 'https://issuer.example', jwks })).toMatchObject([
      { path: ['jwks', 'keys', 0], message: 'its use is not sig' },
    ]);
  });
});

describe('a config entry', () => {
  const of = (preset: string) => platforms.find((platform) => platform.preset === preset)?.entry ?? {};
  const faults = (config: object) =>
    presetOf(config)
      ?.check(config)
      .map(({ path }) => path.join('.'));

  test.each([
    ['gitlab.com bound by nothing', { preset: 'gitlab' }, 'issuer'],
    ['gitlab with another service’s audience', { preset: 'gitlab', ...of('gitlab'), audience: 'vault' }, 'audience'],
    ['aws at a shared issuer', { preset: 'aws', ...of('aws'), issuer: 'https://accounts.google.com' }, 'issuer'],
    ['aws by http', { preset: 'aws', ...of('aws'), issuer: 'http://x.tokens.sts.global.api.aws' }, 'issuer'],
    ['gcp bound by nothing', { preset: 'gcp' }, ''],
    ['azure for personal accounts', { preset: 'azure', tenant: '9188040d-6c67-4c5b-b112-36a304b66dad' }, 'tenant'],
    ['spiffe without a bundle', { preset: 'spiffe', ...of('spiffe') }, ''],
    ['spiffe with a bundle by http', { preset: 'spiffe', ...of('spiffe'), bundle: 'http://spire.example' }, 'bundle'],
    [
      'spiffe with two sources',
      { preset: 'spiffe', ...of('spiffe'), bundle: 'https://spire.example', jwksFile: 'b.json' },
      'bundle',
    ],
    [
      'spiffe signed with EdDSA',
      { preset: 'spiffe', ...of('spiffe'), bundle: 'https://spire.example', algorithms: ['ES256', 'EdDSA'] },
      'algorithms.1',
    ],
    ['a lifetime of 26 hours', { preset: 'terraform-cloud', ...of('terraform-cloud'), lifetime: '26h' }, 'lifetime'],
    ['a file and a URL', { preset: 'fly', ...of('fly'), jwksFile: 'a', jwksUri: 'https://a.example' }, 'jwksUri'],
    ['a CA for a file', { preset: 'fly', ...of('fly'), jwksFile: 'a', ca: 'ca.pem' }, 'ca'],
    ['a token for a file', { preset: 'fly', ...of('fly'), jwksFile: 'a', jwksAuth: { tokenFile: 't' } }, 'jwksAuth'],
  ])('is refused: %s', (_, config, member) => {
    expect(faults(config)).toEqual([member]);
  });

  test.each([
    ['a namespace by number', { preset: 'gitlab', namespace: { id: 72 } }],
    ['a namespace by name', { preset: 'gitlab', namespace: { name: 'acme' } }],
    ['aws without account', { preset: 'aws', issuer: 'https://x.tokens.sts.global.api.aws' }],
    ['aws with an account number', { preset: 'aws', ...of('aws'), account: 123456789012 }],
    ['gcp by email', { preset: 'gcp', accounts: ['checkout@acme-core.iam.gserviceaccount.com'] }],
    ['gcp by no account', { preset: 'gcp', accounts: [] }],
    ['azure for any organization', { preset: 'azure', tenant: 'organizations' }],
    ['a trust domain with its scheme', { preset: 'spiffe', trustDomain: 'spiffe://example.org' }],
    ['a trust domain in upper case', { preset: 'spiffe', trustDomain: 'Example.org' }],
    ['spiffe with jwksUri', { preset: 'spiffe', trustDomain: 'example.org', jwksUri: 'https://spire.example' }],
    ['vercel by slug', { preset: 'vercel', team: { slug: 'acme' } }],
    ['circleci by name', { preset: 'circleci', organization: { id: 'acme' } }],
    ['buildkite by slug', { preset: 'buildkite', organization: { slug: 'acme' } }],
    ['terraform by name', { preset: 'terraform-cloud', organization: { id: 'acme' } }],
    ['fly without slug', { preset: 'fly', organization: { id: '29873298' } }],
    ['a token in the config', { preset: 'fly', ...of('fly'), jwksAuth: 'token' }],
    ['a token file and a REF', { preset: 'fly', ...of('fly'), jwksAuth: { tokenFile: 't', store: 's', name: 'n' } }],
  ])('does not fit the schema: %s', (_, config) => {
    expect(s.safeParse(presetOf(config)?.schema as never, config).success).toBe(false);
  });
});
