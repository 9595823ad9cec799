import { toHex } from '../../lib/bytes.ts';
import { readDer, valuesIn } from '../../lib/der.ts';

/** What a certificate can be about: EC on P-256 or P-384, Ed25519, RSA of 2048 to 8192 bits. */
export type KeyType = 'P-256' | 'P-384' | 'Ed25519' | 'RSA';

/** What comes before the point of a key, in hexadecimal, and how long the whole then is. */
const points: readonly (readonly [KeyType, begin: string, length: number])[] = [
  ['P-256', '3059301306072a8648ce3d020106082a8648ce3d03010703420004', 91],
  ['P-384', '3076301006072a8648ce3d020106052b8104002203620004', 120],
  ['Ed25519', '302a300506032b6570032100', 44],
];
const rsaAlgorithm = '300d06092a864886f70d0101010500';

/**
 * Which kind of key a SubjectPublicKeyInfo holds; undefined for what no certificate is made about, and for a second encoding
 * of a key. Whether a point is on its curve is not looked at: one that is not is nobody's key.
 */
export function keyTypeOf(spki: Uint8Array): KeyType | undefined {
  const digits = toHex(spki);
  const found = points.find(([, begin, length]) => spki.length === length && digits.startsWith(begin));
  if (found !== undefined) return found[0];
  try {
    return isRsa(spki) ? 'RSA' : undefined;
  } catch {
    return undefined;
  }
}

/** RFC 3279 section 2.3.1, with the exponent 65537. */
function isRsa(spki: Uint8Array): boolean {
  const [algorithm, bits, ...more] = valuesIn(readDer(spki));
  if (algorithm === undefined || toHex(algorithm.raw) !== rsaAlgorithm || bits?.tag !== 0x03 || bits.content[0] !== 0)
    return false;
  const [n, e, ...others] = valuesIn(readDer(bits.content.subarray(1)));
  if (n?.tag !== 0x02 || e === undefined || toHex(e.raw) !== '0203010001' || more.length + others.length > 0)
    return false;
  const bytes = magnitudeOf(n.content);
  return (
    bytes !== undefined &&
    bytes.length <= 1024 &&
    (bytes.length > 256 || (bytes.length === 256 && (bytes[0] as number) >= 0x80))
  );
}

/** The bytes of a positive INTEGER in its one shortest form (X.690 section 8.3), without a leading zero. */
function magnitudeOf(content: Uint8Array): Uint8Array | undefined {
  const [first = 0x80, second = 0] = content;
  if (first !== 0) return first < 0x80 ? content : undefined;
  return second >= 0x80 ? content.subarray(1) : undefined;
}

/** The key itself, without what says of which kind it is: what key identifiers are made from. @throws DerError */
export const keyBits = (spki: Uint8Array): Uint8Array =>
  valuesIn(readDer(spki))[1]?.content.subarray(1) ?? new Uint8Array(0);
