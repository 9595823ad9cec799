import { createHash } from 'node:crypto';
import { sha256, toHex } from '../../lib/bytes.ts';
import { DerError, type DerValue, readDer, valuesIn } from '../../lib/der.ts';
import { readPem, readTime } from '../der.ts';
import type { AuthorityAlgorithm } from '../signed.ts';
import { keyBits, keyTypeOf } from './public-key.ts';

/** A CA as its certificate tells of it; names and keys in DER, times in seconds. */
export interface Authority {
  /** SHA-256 of the certificate, hexadecimal: what says in a record whose certificate it is. */
  readonly fingerprint: string;
  readonly alg: AuthorityAlgorithm;
  readonly name: Uint8Array;
  readonly spki: Uint8Array;
  readonly keyId: Uint8Array;
  readonly from: number;
  readonly until: number;
}

const subjectKeyId = '0603551d0e';
const algorithms: Readonly<Record<string, AuthorityAlgorithm>> = { 'P-256': 'ES256', Ed25519: 'EdDSA' };

/** Reads a certificate (PEM) that the config's check took for a CA's. @throws DerError */
export function readAuthority(pem: string): Authority {
  const bytes = readPem(pem, 'certificate');
  const tbs = valuesIn(valuesIn(readDer(bytes))[0] as DerValue);
  // Version 3 has the extensions, and so its version comes first.
  const [version, , , , validity, subject, spki, ...rest] = tbs;
  if (version?.tag !== 0xa0 || validity === undefined || subject === undefined || spki === undefined)
    throw new DerError('no certificate of version 3');
  const extensions = extensionsIn(rest.find(({ tag }) => tag === 0xa3));
  const alg = algorithms[keyTypeOf(spki.raw) ?? ''];
  if (alg === undefined) throw new DerError('a CA key is on P-256 or Ed25519');
  const [from, until] = valuesIn(validity).map(readTime) as [number, number];
  const keyId = extensions.get(subjectKeyId)?.content ?? keyIdOf(spki.raw);
  return { fingerprint: toHex(sha256(bytes)), alg, name: subject.raw, spki: spki.raw, keyId, from, until };
}

/** What each extension holds, by the DER of its id. */
function extensionsIn(explicit: DerValue | undefined): Map<string, DerValue> {
  const list = explicit && valuesIn(explicit, 0xa3)[0];
  return new Map(
    (list === undefined ? [] : valuesIn(list)).map((extension) => {
      const parts = valuesIn(extension);
      return [toHex(parts[0]?.raw as Uint8Array), readDer(parts.at(-1)?.content as Uint8Array)];
    }),
  );
}

// RFC 5280 section 4.2.1.2 (1): SHA-1 names the key here, nothing is proved by it.
const keyIdOf = (spki: Uint8Array): Uint8Array => createHash('sha1').update(keyBits(spki)).digest();
