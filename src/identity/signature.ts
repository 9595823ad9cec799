import { type KeyObject, verify } from 'node:crypto';
import type { Runtime } from '../lib/platform.ts';
import { type Algorithm, algorithms } from './algorithms.ts';

/** Whether `signature` is the key's over `bytes`. Never throws: what cannot be checked is false. */
export type CheckSignature = (alg: Algorithm, key: KeyObject, bytes: Uint8Array, signature: Uint8Array) => boolean;

type VerifyKey = Parameters<typeof verify>[2];

/** The check for a runtime: Node takes a parsed key, workerd takes none beside `dsaEncoding` and gets its PEM. */
export function signatureCheck(runtime: Runtime): CheckSignature {
  const ecKey = runtime === 'workerd' ? pemKeys() : (key: KeyObject) => ({ key, dsaEncoding: 'ieee-p1363' as const });
  return (alg, key, bytes, signature) => {
    const { kty, hash, signatureBytes } = algorithms[alg];
    // RFC 7518 section 3.4: r and s in fixed length, never DER.
    if (signatureBytes !== undefined && signature.length !== signatureBytes) return false;
    try {
      return verify(hash, bytes, kty === 'EC' ? ecKey(key) : key, signature);
    } catch {
      return false;
    }
  };
}

function pemKeys(): (key: KeyObject) => VerifyKey {
  const pems = new WeakMap<KeyObject, VerifyKey>();
  return (key) => {
    const known = pems.get(key);
    if (known !== undefined) return known;
    const pem = key.export({ type: 'spki', format: 'pem' }) as string;
    const made: VerifyKey = { key: pem, dsaEncoding: 'ieee-p1363' };
    pems.set(key, made);
    return made;
  };
}
