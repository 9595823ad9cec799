import { createPublicKey } from 'node:crypto';
import { equalBytes } from '../../lib/bytes.ts';
import { readDer, valuesIn } from './der.ts';

/** What a certificate can be about: EC on P-256 or P-384, Ed25519, RSA of 2048 to 8192 bits. */
export type KeyType = 'P-256' | 'P-384' | 'Ed25519' | 'RSA';

/** What a SubjectPublicKeyInfo holds; undefined for what no certificate is made about, and for any but its usual encoding. */
export function keyTypeOf(spki: Uint8Array): KeyType | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    // A second encoding of one key would be a second key to who compares them.
    if (!equalBytes(key.export({ format: 'der', type: 'spki' }), spki)) return undefined;
    const { kty, crv, n = '', e } = key.export({ format: 'jwk' });
    if (kty === 'RSA') return e === 'AQAB' && isLongEnough(Buffer.from(n, 'base64url')) ? 'RSA' : undefined;
    return crv === 'P-256' || crv === 'P-384' || crv === 'Ed25519' ? crv : undefined;
  } catch {
    return undefined;
  }
}

const isLongEnough = ({ length, 0: first = 0 }: Uint8Array): boolean =>
  length <= 1024 && (length > 256 || (length === 256 && first >= 0x80));

/** The key itself, without what says of which kind it is: what key identifiers are made from. @throws DerError */
export const keyBits = (spki: Uint8Array): Uint8Array =>
  valuesIn(readDer(spki))[1]?.content.subarray(1) ?? new Uint8Array(0);
