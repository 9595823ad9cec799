import { equalBytes, fromBase64, toBase64Url, toHex } from '../lib/bytes.ts';
import { DerError, readDer, valuesIn } from '../lib/der.ts';
import { fromScalar, type PrivateKey, parsePrivateKey, rsaKey } from './private-key.ts';

// node:crypto reads any PKCS#8, and looks through all of OpenSSL's decoders for each: a quarter of what a start takes.

/** What a PKCS#8 PEM holds: the scalar of a P-256 key, or the numbers of an RSA key and the DER of its RSAPrivateKey. */
export type ReadKey =
  | { readonly scalar: Uint8Array; readonly point: Uint8Array }
  | { readonly rsa: Readonly<Record<(typeof numbers)[number], string>>; readonly input: Uint8Array };

/** As parsePrivateKey, and without the decoders where the PEM is of a form that keys are made in here. @throws KeyError */
export function parseOwnKey(text: string): PrivateKey {
  const known = readPkcs8(text.trim());
  if (known === undefined) return parsePrivateKey(text);
  if ('rsa' in known) return rsaKey({ kty: 'RSA', ...known.rsa }, () => known.input);
  const key = fromScalar(known.scalar);
  const { x, y } = key.publicJwk;
  const fits = x === toBase64Url(known.point.subarray(1, 33)) && y === toBase64Url(known.point.subarray(33));
  return fits ? key : parsePrivateKey(text);
}

const numbers = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const;

const begin = '-----BEGIN PRIVATE KEY-----\n';
const end = '\n-----END PRIVATE KEY-----';

/**
 * Reads a PEM without space around it, in the two forms that keys are made in here; undefined for every other form, sound or not, which is for
 * node:crypto to judge. Whether the numbers of a key fit each other is not looked at.
 */
export function readPkcs8(pem: string): ReadKey | undefined {
  if (!pem.startsWith(begin) || !pem.endsWith(end)) return undefined;
  const der = fromBase64(pem.slice(begin.length, -end.length).split('\n').join(''));
  if (der === undefined) return undefined;
  try {
    return p256In(der) ?? rsaIn(der);
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

// RFC 5915 in RFC 5208: of a P-256 key with its public part all but the scalar and the point is the same in every one.
const beforeScalar = '308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420';
const beforePoint = 'a144034200';

function p256In(der: Uint8Array): ReadKey | undefined {
  if (der.length !== 138 || toHex(der.subarray(0, 36)) !== beforeScalar) return undefined;
  if (toHex(der.subarray(68, 73)) !== beforePoint || der[73] !== 4) return undefined;
  return { scalar: der.subarray(36, 68), point: der.subarray(73) };
}

const version0 = Uint8Array.of(0x02, 0x01, 0x00);
// rsaEncryption, and NULL for its parameters (RFC 8017 A.1).
const rsaAlgorithm = '300d06092a864886f70d0101010500';

function rsaIn(der: Uint8Array): ReadKey | undefined {
  const [version, algorithm, key, ...attributes] = valuesIn(readDer(der));
  if (version === undefined || algorithm === undefined || key?.tag !== 0x04 || attributes.length > 0) return undefined;
  if (!equalBytes(version.raw, version0) || toHex(algorithm.raw) !== rsaAlgorithm) return undefined;
  const [twoPrimes, ...parts] = valuesIn(readDer(key.content));
  if (twoPrimes === undefined || !equalBytes(twoPrimes.raw, version0) || parts.length !== numbers.length)
    return undefined;
  const read = parts.map(({ tag, content }) => (tag === 0x02 ? positive(content) : undefined));
  if (read.includes(undefined)) return undefined;
  const rsa = Object.fromEntries(numbers.map((name, at) => [name, toBase64Url(read[at] as Uint8Array)]));
  return { rsa: rsa as Record<(typeof numbers)[number], string>, input: key.content };
}

/** The bytes of a positive INTEGER without its sign, if they are the shortest there are. */
function positive(content: Uint8Array): Uint8Array | undefined {
  const [first = 0x80, second = 0] = content;
  if (first !== 0) return first < 0x80 ? content : undefined;
  return second >= 0x80 ? content.subarray(1) : undefined;
}
