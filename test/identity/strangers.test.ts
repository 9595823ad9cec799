import { describe, expect, it } from 'vitest';
import { signatureCheck } from '../../src/identity/index.ts';
import { countStrangers } from '../../src/identity/strangers.ts';
import { goodClaims, goodHeader, makeKey, makeToken, nowSeconds, outcome, verifierOf } from './issuer.ts';

// A foreign organization that floods costs no signature checks; every attack here is on what that saves.

const github = 'https://token.actions.githubusercontent.com';
const key = makeKey('ES256', 'hub');
const wrongKey = makeKey('ES256', 'hub');
const other = makeKey('ES256', 'other');
const jwks = { keys: [key.jwk] };
const ours = '9919';
const enough = 100;

let serial = 0;
const claimsOf = (owner: unknown, changes: Record<string, unknown> = {}) =>
  goodClaims({
    iss: github,
    sub: 'repo:acme/shop:ref:refs/heads/main',
    repository: 'acme/shop',
    repository_id: '1296269',
    repository_owner: 'acme',
    repository_owner_id: owner,
    event_name: 'push',
    jti: `job-${serial++}`,
    ...changes,
  });
const good = (owner: unknown, changes = {}) => makeToken(key, claimsOf(owner, changes));
const forged = (owner: unknown, changes = {}) => makeToken(wrongKey, claimsOf(owner, changes));

function house(organizations = [ours]) {
  const clock = { ms: nowSeconds * 1000 };
  let checks = 0;
  const check = signatureCheck('node');
  const verifier = verifierOf(
    Object.fromEntries(
      organizations.map((id, n) => [`ci${n}`, { preset: 'github-actions', organization: { id }, jwks }]),
    ),
    {
      now: () => clock.ms,
      checkSignature: (...args) => {
        checks++;
        return check(...args);
      },
    },
  );
  /** What becomes of a token, and how many signature checks it cost. */
  const ask = async (token: string) => {
    const before = checks;
    const result = await outcome(verifier, token);
    return [typeof result === 'string' ? result : result.issuer, checks - before];
  };
  const flood = async (make: (n: number) => string, count = enough) => {
    const seen = new Set<string>();
    for (let n = 0; n < count; n++) seen.add(JSON.stringify(await ask(make(n))));
    return [...seen].map((text) => JSON.parse(text));
  };
  return { clock, ask, flood };
}

describe('a foreign organization that floods', () => {
  it('is refused without a signature check after a hundred good tokens, and by name of what was not done', async () => {
    const { ask, flood } = house();
    expect(await flood(() => good('666'))).toEqual([['token_invalid: tenant', 1]]);
    expect(await ask(good('666'))).toEqual(['token_invalid: unverified', 0]);
    expect(await ask(forged('666'))).toEqual(['token_invalid: unverified', 0]);
  });

  it('is checked again a minute after its first, and when the clock goes back', async () => {
    const { clock, ask, flood } = house();
    await flood(() => good('666', { exp: nowSeconds + 3_000 }));
    clock.ms += 59_999;
    expect(await ask(good('666'))).toEqual(['token_invalid: unverified', 0]);
    clock.ms += 1;
    expect(await flood(() => good('666'))).toEqual([['token_invalid: tenant', 1]]);
    clock.ms -= 1;
    expect(await ask(good('666'))).toEqual(['token_invalid: tenant', 1]);
  });

  it('keeps nobody else from a check: not us, not a forger in our name, not a third', async () => {
    const { ask, flood } = house();
    await flood(() => good('666'));
    expect(await ask(good(ours))).toEqual(['ci0', 1]);
    expect(await ask(forged(ours))).toEqual(['token_invalid: signature', 1]);
    expect(await ask(good(ours, { aud: 'https://else.example' }))).toEqual(['token_invalid: audience', 1]);
    expect(await ask(good('667'))).toEqual(['token_invalid: tenant', 1]);
    expect(await ask(good(666))).toEqual(['token_invalid: claims', 1]);
    expect(await ask(good([ours, '666']))).toEqual(['token_invalid: claims', 1]);
  });

  it('is still refused for its key, header and algorithm where it was before', async () => {
    const { ask, flood } = house();
    await flood(() => good('666'));
    expect(await ask(makeToken(other, claimsOf('666')))).toEqual(['token_invalid: kid', 0]);
    expect(await ask(makeToken(key, claimsOf('666'), goodHeader(key, { typ: 'JOSE' })))).toEqual([
      'token_invalid: header',
      0,
    ]);
    expect(await ask(makeToken(key, claimsOf('666'), goodHeader(key, { alg: 'RS256' })))).toEqual([
      'token_invalid: algorithm',
      0,
    ]);
  });
});

describe('nobody is taken for a flood', () => {
  it('by forged tokens in their name', async () => {
    const { ask, flood } = house();
    expect(await flood(() => forged('666'), 3 * enough)).toEqual([['token_invalid: signature', 1]]);
    expect(await ask(good('666'))).toEqual(['token_invalid: tenant', 1]);
  });

  it('by good tokens that are refused for anything but their tenant', async () => {
    const { ask, flood } = house();
    const expired = { exp: nowSeconds - 100, iat: nowSeconds - 700 };
    const wrong = [{ aud: 'https://else.example' }, expired, { cnf: {} }, { repository: '' }];
    await flood((n) => good('666', wrong[n % wrong.length]), 4 * enough);
    await flood((n) => good(ours, wrong[n % wrong.length]), 4 * enough);
    expect(await ask(good('666'))).toEqual(['token_invalid: tenant', 1]);
    expect(await ask(forged(ours))).toEqual(['token_invalid: signature', 1]);
    expect(await ask(good(ours))).toEqual(['ci0', 1]);
  });

  it('by a claim that cannot name a tenant, or one too long to keep', async () => {
    const { ask, flood } = house();
    const long = '6'.repeat(300);
    await flood(() => good(long));
    expect(await ask(good(long))).toEqual(['token_invalid: tenant', 1]);
  });
});

it('what a check costs tells no organization that is configured from one that is not', async () => {
  const { ask, flood } = house([ours, '4711']);
  // Good tokens of the second are foreign to the first: that must not show.
  expect(await flood(() => good('4711'), 2 * enough)).toEqual([['ci1', 2]]);
  await flood(() => good('666'));
  for (const owner of [ours, '4711', '667']) expect(await ask(forged(owner))).toEqual(['token_invalid: signature', 2]);
  expect(await ask(forged('666'))).toEqual(['token_invalid: unverified', 0]);
});

it('a token that its signature would let in is checked though its tenant claim was seen in a flood', async () => {
  let checks = 0;
  const check = signatureCheck('node');
  const rsa = makeKey('RS256', 'google');
  const entry = { preset: 'gcp', accounts: ['110'], project: { number: 42 }, jwks: { keys: [rsa.jwk] } };
  const verifier = verifierOf(
    { google: entry },
    {
      checkSignature: (...args) => {
        checks++;
        return check(...args);
      },
    },
  );
  const token = (project: number) =>
    makeToken(
      rsa,
      goodClaims({
        iss: 'https://accounts.google.com',
        sub: '110',
        azp: '110',
        google: {
          compute_engine: {
            project_number: project,
            project_id: 'p',
            zone: 'z',
            instance_id: '1',
            instance_name: 'n',
            instance_creation_timestamp: 1,
          },
        },
      }),
    );
  for (let n = 0; n < enough; n++) expect(await outcome(verifier, token(7))).toBe('token_invalid: tenant');
  checks = 0;
  expect(await outcome(verifier, token(7))).toBe('token_invalid: unverified');
  expect(checks).toBe(0);
  expect(await outcome(verifier, token(42))).toMatchObject({ issuer: 'google', subject: '110' });
  expect(checks).toBe(1);
});

it('of an issuer that requires claims, whatever those claims say names the tenant', async () => {
  let checks = 0;
  const check = signatureCheck('node');
  const verifier = verifierOf(
    { ci: { issuer: 'https://issuer.example', require: { org: 'ours', 'team.id': 7 }, jwks } },
    {
      checkSignature: (...args) => {
        checks++;
        return check(...args);
      },
    },
  );
  const token = (org: unknown, team?: unknown) => makeToken(key, goodClaims({ org, team, jti: `org-${serial++}` }));
  for (let n = 0; n < enough; n++) await outcome(verifier, token('ours', { id: 8 }));
  checks = 0;
  expect(await outcome(verifier, token('ours', { id: 8 }))).toBe('token_invalid: unverified');
  expect(checks).toBe(0);
  expect(await outcome(verifier, token('ours', { id: 7 }))).toMatchObject({ issuer: 'ci' });
  expect(await outcome(verifier, token('ours'))).toBe('token_invalid: tenant');
  expect(await outcome(verifier, token('ours', { id: '8' }))).toBe('token_invalid: tenant');
  expect(checks).toBe(3);
});

it('at most a thousand tenants are remembered, the newest', () => {
  const strangers = countStrangers();
  const issuers = [{ issuer: github, tenantClaims: ['owner'] }];
  for (let n = 0; n <= 1_000; n++) for (let m = 0; m < enough; m++) strangers.count(issuers, { owner: `t${n}` }, 1_000);
  const areMany = (n: number) => strangers.areMany(issuers, { owner: `t${n}` }, 1_000);
  expect([0, 1, 1_000].map(areMany)).toEqual([false, true, true]);
});
