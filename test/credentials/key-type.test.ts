import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { keyTypeOf } from '../../src/credentials/x509/public-key.ts';
import { der, hex, sequence } from '../support/certificate.ts';
import { type KeyName, makeKeyPair, spkiOf } from './authority.ts';

/** A SubjectPublicKeyInfo of RSA from the bytes of its two INTEGERs. */
const rsa = (n: Uint8Array, e: Uint8Array, algorithm = '06092a864886f70d0101010500') =>
  sequence(sequence(hex(algorithm)), der(0x03, hex('00'), sequence(der(0x02, n), der(0x02, e))));
const modulus = (bytes: number, first = 0xff) =>
  Buffer.concat([hex('00'), Buffer.from([first]), Buffer.alloc(bytes - 1, 0xff)]);
const e = hex('010001');

describe('the kind of a public key', () => {
  it.each([
    ['P-256', 'P-256'],
    ['P-384', 'P-384'],
    ['Ed25519', 'Ed25519'],
    ['RSA-2048', 'RSA'],
    ['RSA-1024', undefined],
    ['P-521', undefined],
    ['secp256k1', undefined],
  ] as [KeyName, string | undefined][])('of %s is %s', (name, type) => {
    expect(keyTypeOf(spkiOf(makeKeyPair(name).publicKey))).toBe(type);
  });

  it('is told of RSA from 2048 to 8192 bits', () => {
    expect(keyTypeOf(rsa(modulus(256, 0x80), e))).toBe('RSA');
    expect(keyTypeOf(rsa(modulus(1024), e))).toBe('RSA');
    expect(keyTypeOf(rsa(modulus(256, 0x7f).subarray(1), e))).toBeUndefined();
    expect(keyTypeOf(rsa(modulus(1025), e))).toBeUndefined();
  });

  it.each([
    ['with another exponent', rsa(modulus(256), hex('03'))],
    ['with an exponent in a second encoding', rsa(modulus(256), hex('00010001'))],
    ['with a modulus below zero', rsa(modulus(256).subarray(1), e)],
    ['with a modulus in a second encoding', rsa(Buffer.concat([hex('00'), modulus(256)]), e)],
    ['with parameters of its own', rsa(modulus(256), e, '06092a864886f70d0101010400')],
    ['without parameters', rsa(modulus(256), e, '06092a864886f70d010101')],
    ['for PSS alone', rsa(modulus(256), e, '06092a864886f70d01010a0500')],
    ['with a byte after it', Buffer.concat([rsa(modulus(256), e), hex('00')])],
    ['that is cut off', rsa(modulus(256), e).subarray(0, -1)],
  ])('is none of RSA %s', (_, spki) => {
    expect(keyTypeOf(spki)).toBeUndefined();
  });

  it('is none of a key for PSS or X25519, of nothing, and of anything', () => {
    const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey;
    const exchange = generateKeyPairSync('x25519').publicKey;
    for (const bytes of [spkiOf(pss), spkiOf(exchange), new Uint8Array(0), Buffer.alloc(91), Buffer.alloc(91, 0x30)])
      expect(keyTypeOf(bytes)).toBeUndefined();
  });
});
