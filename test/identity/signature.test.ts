import { expect, test } from 'vitest';
import { readKey } from '../../src/identity/jwk.ts';
import { signatureCheck } from '../../src/identity/signature.ts';
import { makeKey, signatureOf, type TestKey } from './issuer.ts';

const runtimes = ['node', 'lambda', 'workerd'] as const;
const pairs = (['RS256', 'ES256', 'ES384', 'EdDSA'] as const).map((alg) => makeKey(alg, 'k'));

test.each(runtimes.flatMap((runtime) => pairs.map((pair) => [runtime, pair.alg, pair] as const)))(
  'on %s %s verifies what was signed, again and again, and nothing else',
  (runtime, alg, pair) => {
    const check = signatureCheck(runtime);
    const key = readKey(pair.jwk);
    if (typeof key === 'string') throw new Error(key);
    const bytes = Buffer.from('header.payload');
    const signature = signatureOf(pair, 'header.payload');
    for (let round = 0; round < 3; round++) expect(check(alg, key.key, bytes, signature)).toBe(true);
    expect(check(alg, key.key, Buffer.from('header.payloae'), signature)).toBe(false);
    expect(check(alg, key.key, bytes, Buffer.concat([signature, Buffer.alloc(1)]))).toBe(false);
    expect(check(alg, key.key, bytes, new Uint8Array(0))).toBe(false);
    expect(check(alg, key.key, bytes, Buffer.alloc(signature.length))).toBe(false);
  },
);

test('a key that does not fit the algorithm is a signature that does not verify, not an error', () => {
  const check = signatureCheck('node');
  const rsa = pairs[0] as TestKey;
  expect(check('ES256', rsa.publicKey, Buffer.from('x'), Buffer.alloc(64))).toBe(false);
  expect(check('EdDSA', rsa.publicKey, Buffer.from('x'), Buffer.alloc(64))).toBe(false);
});
