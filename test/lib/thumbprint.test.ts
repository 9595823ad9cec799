import { generateKeyPairSync } from 'node:crypto';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import { thumbprint } from '../../src/lib/thumbprint.ts';

const jwkOf = (pair: { publicKey: { export(options: { format: 'jwk' }): unknown } }) =>
  pair.publicKey.export({ format: 'jwk' }) as JsonObject;

describe('thumbprint', () => {
  it.each([
    ['EC', jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }))],
    ['RSA', jwkOf(generateKeyPairSync('rsa', { modulusLength: 2048 }))],
    ['OKP', jwkOf(generateKeyPairSync('ed25519'))],
  ])('is jose’s for %s, whatever else the key says', async (_, jwk) => {
    const expected = await calculateJwkThumbprint(jwk as JWK);
    expect(thumbprint(jwk)).toBe(expected);
    expect(thumbprint({ use: 'sig', kid: 'x', alg: 'none', ...jwk })).toBe(expected);
  });

  it('refuses a key of another type', () => {
    expect(() => thumbprint({ kty: 'oct', k: 'AAAA' })).toThrow(TypeError);
    expect(() => thumbprint({ kty: 'constructor' })).toThrow(TypeError);
  });
});
