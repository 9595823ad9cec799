import { verify } from 'node:crypto';
import { toHex } from '../../lib/bytes.ts';
import { readDer, valuesIn } from '../../lib/der.ts';
import { Refusal } from '../../lib/refusal.ts';
import { readPem } from '../der.ts';
import { keyTypeOf } from './public-key.ts';

const longest = 8192;

/** How a request may be signed, by the DER of the algorithm's identifier; a null stands for a key that hashes by itself. */
const algorithms: Readonly<Record<string, { readonly hash: string | null; readonly keys: readonly string[] }>> = {
  '06082a8648ce3d040302': { hash: 'sha256', keys: ['P-256', 'P-384'] },
  '06082a8648ce3d040303': { hash: 'sha384', keys: ['P-256', 'P-384'] },
  '06082a8648ce3d040304': { hash: 'sha512', keys: ['P-256', 'P-384'] },
  '06032b6570': { hash: null, keys: ['Ed25519'] },
  '06092a864886f70d01010b': { hash: 'sha256', keys: ['RSA'] },
  '06092a864886f70d01010c': { hash: 'sha384', keys: ['RSA'] },
  '06092a864886f70d01010d': { hash: 'sha512', keys: ['RSA'] },
};

/**
 * The public key of a certificate request (PKCS#10, RFC 2986, PEM), as SubjectPublicKeyInfo. Its signature proves that the
 * caller has the private key; the subject and the extensions it asks for are not looked at.
 *
 * @throws Refusal invalid_request
 */
export function readRequest(csr: string): Uint8Array {
  const spki = csr.length <= longest ? tryRead(csr) : undefined;
  if (spki === undefined)
    throw new Refusal('invalid_request', 'csr', {
      detail: 'csr is no certificate request that can be taken',
      hint: 'a PKCS#10 request in PEM, signed by its own key: P-256, P-384, Ed25519 or RSA of 2048 bits and more',
    });
  return spki;
}

function tryRead(csr: string): Uint8Array | undefined {
  try {
    const [info, algorithm, signature, ...more] = valuesIn(readDer(readPem(csr, 'request')));
    if (info === undefined || algorithm === undefined || signature === undefined || more.length > 0) return undefined;
    const spki = valuesIn(info)[2]?.raw;
    const type = spki && keyTypeOf(spki);
    const { hash, keys } = algorithms[toHex(valuesIn(algorithm)[0]?.raw ?? new Uint8Array(0))] ?? {};
    if (spki === undefined || type === undefined || hash === undefined || !keys?.includes(type)) return undefined;
    if (signature.tag !== 0x03 || signature.content[0] !== 0) return undefined;
    const key = { key: Buffer.from(spki), format: 'der', type: 'spki', dsaEncoding: 'der' } as const;
    return verify(hash, info.raw, key, signature.content.subarray(1)) ? spki : undefined;
  } catch {
    return undefined;
  }
}
