import { toUtf8 } from '../lib/bytes.ts';
import { Refusal } from '../lib/refusal.ts';
import type { SealKey } from './seal-key.ts';

/** Encrypts the `data` of an answer; gives a compact JWE. */
export type Seal = (data: Readonly<Record<string, unknown>>) => Promise<string>;

const curve = { name: 'ECDH', namedCurve: 'P-256' };

/**
 * Gets ready to encrypt to a key (RFC 7516: ECDH-ES+A256KW, A256GCM). What could fail of code and key does so here, before
 * anything is made or recorded. @throws Refusal internal
 */
export async function openSeal({ jwk, thumbprint }: SealKey): Promise<Seal> {
  const [{ CompactEncrypt }, key] = await Promise.all([
    import('jose/jwe/compact/encrypt'),
    crypto.subtle.importKey('jwk', jwk, curve, false, []),
  ]).catch((cause) => {
    throw new Refusal('internal', 'seal', { cause });
  });
  const header = { alg: 'ECDH-ES+A256KW', enc: 'A256GCM', kid: thumbprint, cty: 'application/json' };
  return (data) => new CompactEncrypt(toUtf8(JSON.stringify(data))).setProtectedHeader(header).encrypt(key);
}
