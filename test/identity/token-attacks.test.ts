import { describe, expect, test } from 'vitest';
import { attacksOn, ec, ec384, ed, n256, type Row, rsa, scalar } from './attacks.ts';
import { genericIssuer, goodClaims, makeToken, noDeadline, nowSeconds, outcome, verifierOf } from './issuer.ts';
import { clusterIssuer, job, pod } from './older-platforms.ts';
import { entraV1, entryOf, type Platform, platforms } from './platforms.ts';

const verifier = verifierOf({ shop: genericIssuer(rsa, ec, ec384, ed) });
const claims = (changes: Record<string, unknown>) => makeToken(ec, goodClaims(changes));
const jsonClaims = JSON.stringify(goodClaims());
const [goodFirst, goodSecond, goodThird] = makeToken(ec).split('.') as [string, string, string];
const withSignature = (signature: Buffer) => `${goodFirst}.${goodSecond}.${signature.toString('base64url')}`;

describe('refuses, with its reason for the operator, attack', () => {
  test.each(attacksOn(goodClaims()))('%s', async (_, token, reason) => {
    expect(await outcome(verifier, token)).toBe(`token_invalid: ${reason}`);
  });
});

/** What JWT-SVIDs may be that other tokens may not: without `iat`, and with a long subject (which is no SPIFFE ID here). */
const svidReasons: Readonly<Record<string, string>> = {
  '37: iat missing': 'good',
  [`28: sub "${'x'.repeat(29)} of 256`]: 'claims',
};

const older = [
  { preset: 'github-actions', entry: { organization: { id: '9919' } }, claims: job() },
  { preset: 'kubernetes', entry: { issuer: clusterIssuer }, claims: pod() },
];

describe('refuses each attack on', () => {
  const all: readonly (readonly [string, Pick<Platform, 'preset' | 'entry' | 'claims'>])[] = [
    ...older.map((platform) => [platform.preset, platform] as const),
    ...platforms.map((platform) => [platform.preset, platform] as const),
    ['azure, version 1.0', entraV1],
  ];
  test.each(all)('%s', async (preset, platform) => {
    const iss = String(platform.claims.iss ?? 'https://spire.example.org');
    const entry = {
      ...entryOf(platform, rsa, ec, ec384),
      lifetime: '1h',
      ...(preset === 'spiffe' ? { issuer: iss } : {}),
    };
    const good = { ...platform.claims, iss, iat: nowSeconds - 10, exp: nowSeconds + 600, jti: 'jti-1' };
    const them = verifierOf({ them: entry });
    expect(await outcome(them, makeToken(ec, good))).toMatchObject({ issuer: 'them' });
    const told: Row[] = [];
    const wanted: Row[] = [];
    for (const [attack, token, usual] of attacksOn(good)) {
      const found = await outcome(them, token);
      told.push([attack, '', typeof found === 'string' ? found.replace('token_invalid: ', '') : 'good']);
      wanted.push([attack, '', (preset === 'spiffe' ? svidReasons[attack] : undefined) ?? usual]);
    }
    expect(told).toEqual(wanted);
  });
});

test('9 and 49: a malleated ECDSA signature may verify but counts as the same token', async () => {
  const signature = Buffer.from(goodThird, 'base64url');
  const s = BigInt(`0x${signature.subarray(32).toString('hex')}`);
  const twin = withSignature(Buffer.concat([signature.subarray(0, 32), scalar(n256 - s)]));
  const [one, other] = [await verifier.verify(makeToken(ec), noDeadline), await verifier.verify(twin, noDeadline)];
  expect(other.token).toBe(one.token);
});

test('49: without jti a token counts by what is signed, so a fresh signature over it is the same token', async () => {
  const { jti: _, ...rest } = goodClaims();
  const [one, again] = [makeToken(ec, rest), makeToken(ec, rest)];
  expect(again).not.toBe(one);
  const first = await verifier.verify(one, noDeadline);
  expect((await verifier.verify(again, noDeadline)).token).toBe(first.token);
  expect((await verifier.verify(makeToken(ec, { ...rest, n: 1 }), noDeadline)).token).not.toBe(first.token);
});

test('31: __proto__ and constructor in a payload stay data and lend no claim', async () => {
  const text = jsonClaims.replace('{', '{"__proto__":{"admin":true},"constructor":{"prototype":{"x":1}},');
  const identity = await verifier.verify(makeToken(ec, text), noDeadline);
  expect(Object.hasOwn(identity.claims, '__proto__')).toBe(true);
  expect((identity.claims as Record<string, unknown>).admin).toBeUndefined();
  expect(({} as Record<string, unknown>).admin).toBeUndefined();
  const { sub: _, ...rest } = goodClaims();
  const lent = JSON.stringify(rest).replace('{', '{"__proto__":{"sub":"checkout"},');
  expect(await outcome(verifier, makeToken(ec, lent))).toBe('token_invalid: subject');
});

test.each([-60, -30, 0, 30, 59])('38: accepts a token of a clock that is %i s off', async (skew) => {
  const at = (seconds: number) => seconds + skew;
  const token = claims({ iat: at(nowSeconds), nbf: at(nowSeconds), exp: at(nowSeconds + 60) });
  expect(await outcome(verifier, token)).toMatchObject({ subject: 'checkout' });
});

test('16: a refusal names the configured issuer in its facts and nothing of the token', async () => {
  const error = await verifier.verify(claims({ aud: 'canary-aud' }), noDeadline).catch((refusal: unknown) => refusal);
  expect(error).toMatchObject({ code: 'token_invalid', reason: 'audience', options: { facts: { issuer: 'shop' } } });
  expect(JSON.stringify(error)).not.toContain('canary');
});

describe('Ed25519, as RFC 9864 names EdDSA in headers and keys', () => {
  const named = { ...ed, jwk: { ...ed.jwk, alg: 'Ed25519' } };
  const signed = (key: typeof ed, alg: string) => makeToken(key, goodClaims(), { alg, kid: key.kid, typ: 'JWT' });

  test.each([
    ['its key says so too', named, 'Ed25519'],
    ['its key says nothing', ed, 'Ed25519'],
    ['its key says so, and the token EdDSA', named, 'EdDSA'],
  ])('verifies where %s', async (_, key, alg) => {
    expect(await outcome(verifierOf({ shop: genericIssuer(key) }), signed(key, alg))).toMatchObject({ issuer: 'shop' });
  });

  test.each([
    ['over a key of another type', signed(ec, 'Ed25519'), 'algorithm'],
    ['in another spelling', signed(ed, 'ed25519'), 'algorithm'],
    ['of the other curve', signed(ed, 'Ed448'), 'algorithm'],
    ['with a signature of another key', signed({ ...ec, kid: 'ed' }, 'Ed25519'), 'signature'],
  ])('is refused %s', async (_, token, reason) => {
    expect(await outcome(verifier, token)).toBe(`token_invalid: ${reason}`);
  });

  test('is refused where the issuer is not to use EdDSA', async () => {
    const shop = { issuer: 'https://issuer.example', algorithms: ['ES256'], jwks: { keys: [ec.jwk] } };
    expect(await outcome(verifierOf({ shop }), signed(ed, 'Ed25519'))).toBe('token_invalid: algorithm');
  });
});
