import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { presetOf } from '../../src/identity/index.ts';
import { readKey, readKeySet } from '../../src/identity/jwk.ts';
import { hasRocaFingerprint } from '../../src/identity/weak-keys.ts';
import { genericIssuer, issuerUrl, makeKey, makeToken, outcome, verifierOf } from './issuer.ts';
import { readVectors, vectorsAbsent } from './vectors.ts';

const ec = makeKey('ES256', 'ec');
const ed = makeKey('EdDSA', 'ed');
const rsa = makeKey('RS256', 'rsa');
const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey.export({ format: 'jwk' });
const ed448 = generateKeyPairSync('ed448').publicKey.export({ format: 'jwk' });
const x25519 = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
const privateJwk = ec.privateKey.export({ format: 'jwk' });
const bytes = (...values: number[]) => Buffer.from(values).toString('base64url');
const flipped = (coordinate: unknown) => {
  const point = Buffer.from(String(coordinate), 'base64url');
  point[31] = (point[31] as number) ^ 1;
  return point.toString('base64url');
};
// A modulus as the faulty library made them: a power of 65537 modulo the product of the small primes.
const rocaModulus = (() => {
  const primes = [
    2n,
    3n,
    5n,
    7n,
    11n,
    13n,
    17n,
    19n,
    23n,
    29n,
    31n,
    37n,
    41n,
    43n,
    47n,
    53n,
    59n,
    61n,
    67n,
    71n,
    73n,
    79n,
  ];
  const more = [83n, 89n, 97n, 101n, 103n, 107n, 109n, 113n, 127n, 131n, 137n, 139n, 149n, 151n, 157n, 163n, 167n];
  const product = [...primes, ...more].reduce((all, prime) => all * prime, 1n);
  let residue = 1n;
  for (let power = 0; power < 12_345; power++) residue = (residue * 65_537n) % product;
  const k = 2n ** 2047n / product + 1n;
  return Buffer.from((k * product + residue).toString(16), 'hex').toString('base64url');
})();

test.each([
  ['RSA of 1024 bits', small],
  ['RSA with e=1', { ...rsa.jwk, e: bytes(1) }],
  ['RSA with e=3', { ...rsa.jwk, e: bytes(3) }],
  ['RSA with an even e', { ...rsa.jwk, e: bytes(1, 0, 2) }],
  ['RSA with an e of 9 bytes', { ...rsa.jwk, e: bytes(1, 0, 0, 0, 0, 0, 0, 0, 1) }],
  ['RSA whose modulus shows ROCA', { ...rsa.jwk, n: rocaModulus }],
  ['RSA of 16,384 bits', { ...rsa.jwk, n: Buffer.alloc(2048, 0xff).toString('base64url') }],
  ['RSA with padded base64', { ...rsa.jwk, e: 'AQAB=' }],
  ['a symmetric key', { kty: 'oct', k: bytes(1, 2, 3), kid: 'ec', alg: 'HS256' }],
  ['a private key', { ...privateJwk, kid: 'ec' }],
  ['a public key with a k', { ...ec.jwk, k: 'x' }],
  ['use: enc', { ...ec.jwk, use: 'enc' }],
  ['use that is no string', { ...ec.jwk, use: ['sig'] }],
  ['key_ops without verify', { ...ec.jwk, key_ops: ['encrypt'] }],
  ['key_ops that is no list', { ...ec.jwk, key_ops: 'verify' }],
  ['alg of another type', { ...ec.jwk, alg: 'RS256' }],
  ['alg of another curve', { ...ec.jwk, alg: 'ES384' }],
  ['alg PS256 on an RSA key', { ...rsa.jwk, alg: 'PS256' }],
  ['alg HS256 on an RSA key', { ...rsa.jwk, alg: 'HS256' }],
  ['alg null', { ...ec.jwk, alg: null }],
  ['a point off its curve', { ...ec.jwk, y: flipped(ec.jwk.y) }],
  ['a coordinate too short', { ...ec.jwk, x: bytes(1) }],
  ['the curve of another key', { ...ec.jwk, crv: 'P-384' }],
  ['P-521', p521],
  ['Ed448', ed448],
  ['X25519', x25519],
  ['Ed25519 of small order', { ...ed.jwk, x: bytes(1, ...Array(31).fill(0)) }],
  ['Ed25519 of small order, sign bit set', { ...ed.jwk, x: bytes(...Array(31).fill(0), 0x80) }],
  ['a kid that is a number', { ...ec.jwk, kid: 1 }],
  ['an empty kid', { ...ec.jwk, kid: '' }],
  ['a kid of 257 characters', { ...ec.jwk, kid: 'k'.repeat(257) }],
  ['no object', 'key'],
  ['null', null],
])('41: refuses %s, keeps the other keys, and refuses the config that holds it', (_, jwk) => {
  const { keys, refused } = readKeySet([jwk, makeKey('ES256', 'other').jwk]);
  expect([...keys.keys()]).toEqual(['other']);
  expect(refused).toMatchObject([{ at: 0 }]);
  const faults = presetOf({})?.check({ issuer: issuerUrl, jwks: { keys: [jwk] } });
  expect(faults).toMatchObject([{ path: ['jwks', 'keys', 0], message: refused[0]?.problem }]);
});

describe.skipIf(vectorsAbsent)('a real ROCA key', () => {
  test('is refused for its modulus', () => {
    const { testGroups } = readVectors<{ testGroups: { comment: string; public: { keys: unknown[] } }[] }>(
      'wycheproof/json_web_key_test.json',
    );
    const roca = testGroups.find(({ comment }) => comment === 'jws_rsa_roca_key');
    expect(readKey(roca?.public.keys[0])).toContain('ROCA');
  });
});

test.each([
  ['RS256', rsa.jwk],
  ['ES256', ec.jwk],
  ['ES384', makeKey('ES384', 'k').jwk],
  ['EdDSA', ed.jwk],
  ['EdDSA', { ...ed.jwk, alg: 'Ed25519' }],
  ['ES256', { ...ec.jwk, use: 'sig', key_ops: ['verify'], x5c: ['MIIB'], x5t: 'x', n: 'ignored' }],
])('a key without alg gets %s from its type and curve, and members it does not need are ignored', (alg, jwk) => {
  expect(readKey(jwk)).toMatchObject({ alg });
});

test('no other modulus is taken for a ROCA one', () => {
  for (let round = 0; round < 1_000; round++) {
    expect(hasRocaFingerprint(BigInt(`0x${randomBytes(256).toString('hex')}`) | 1n)).toBe(false);
  }
});

test('a key without kid is known by its RFC 7638 thumbprint', () => {
  // The example of RFC 7638 section 3.1.
  const n =
    '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw';
  expect(readKey({ kty: 'RSA', n, e: 'AQAB', alg: 'RS256' })).toMatchObject({
    kid: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
  });
});

test('41: of two keys under one kid neither is used; the same key twice is one', async () => {
  const twin = { ...makeKey('ES256', 'ec').jwk };
  const { keys, refused } = readKeySet([ec.jwk, twin, { ...twin, kid: 'ec' }, rsa.jwk]);
  expect([...keys.keys()]).toEqual(['rsa']);
  expect(refused.map(({ at }) => at).sort()).toEqual([0, 1, 2]);
  expect(readKeySet([ec.jwk, ec.jwk, twin]).keys.size).toBe(0);
  expect([...readKeySet([ec.jwk, ec.jwk]).keys.keys()]).toEqual(['ec']);
  expect(await outcome(verifierOf({ shop: genericIssuer(ec, ec) }), makeToken(ec))).toMatchObject({
    subject: 'checkout',
  });
});
