import { createECDH, createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { fromBase64Url, toBase64, toBase64Url, toHex } from '../lib/bytes.ts';
import { type JsonObject, parseStrictJsonObject } from '../lib/strict-json.ts';
import { thumbprint } from '../lib/thumbprint.ts';
import type { SigningAlgorithm, SigningKey } from './keys.ts';

/** A key that is no good for signing; the message is fixed and says nothing of the key. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
}

/** A signing key whose private part is at hand. */
export interface PrivateKey extends SigningKey {
  /** What other purposes' keys are derived from: EC the fixed-length `d`, RSA the DER of RSAPrivateKey (RFC 8017 A.1.2). */
  readonly input: Uint8Array;
}

const minRsaBits = 2048;

/** A fresh P-256 key, PKCS#8 PEM. */
export const newPrivateKey = (): string =>
  generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey;

/** A fresh key for the algorithm, PKCS#8 PEM; RSA takes long enough not to be waited for on this thread. */
export async function newKeyFor(alg: SigningAlgorithm): Promise<string> {
  if (alg === 'ES256') return newPrivateKey();
  const options = { ...webAlgorithms.RS256, modulusLength: minRsaBits, publicExponent: Uint8Array.of(1, 0, 1) };
  const { privateKey } = await crypto.subtle.generateKey(options, true, ['sign', 'verify']);
  const der = toBase64(new Uint8Array(await crypto.subtle.exportKey('pkcs8', privateKey)));
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/.{64}(?=.)/g, '$&\n')}\n-----END PRIVATE KEY-----\n`;
}

/** Reads a PKCS#8 PEM or a private JWK: EC P-256, or RSA of 2048 bits and more. @throws KeyError */
export function parsePrivateKey(text: string): PrivateKey {
  const trimmed = text.trim();
  if (trimmed.startsWith('{')) return fromJwkText(trimmed);
  if (!trimmed.startsWith('-----BEGIN PRIVATE KEY-----')) throw unreadable();
  const key = reading(() => createPrivateKey({ key: trimmed, format: 'pem' }));
  return fromKey(key, undefined);
}

/** A P-256 key from its private scalar, 32 bytes. @throws KeyError when the scalar is 0 or not below the order */
export function fromScalar(d: Uint8Array, kid?: string): PrivateKey {
  const point = reading(() => {
    const curve = createECDH('prime256v1');
    curve.setPrivateKey(d);
    return curve.getPublicKey();
  });
  const x = toBase64Url(point.subarray(1, 33));
  const y = toBase64Url(point.subarray(33));
  const jwk = { kty: 'EC', crv: 'P-256', x, y, d: toBase64Url(d) };
  return signingKey('ES256', { kty: 'EC', crv: 'P-256', x, y }, jwk, d, kid);
}

function fromJwkText(text: string): PrivateKey {
  const jwk = reading(() => parseStrictJsonObject(text));
  const { kty, crv, d, n, e, p, q, dp, dq, qi, alg, use, kid } = jwk;
  const fits = kty === 'EC' ? 'ES256' : kty === 'RSA' ? 'RS256' : undefined;
  if (fits === undefined || typeof d !== 'string') throw unreadable();
  if (alg !== undefined && alg !== fits) throw new KeyError(`the key is not for ${fits}`);
  if (use !== undefined && use !== 'sig') throw new KeyError('the key is not for signing');
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > 256))
    throw new KeyError('the kid of the key is not a text of 1 to 256 characters');
  if (kty === 'RSA') {
    return fromKey(
      reading(() => createPrivateKey(jwkInput({ kty, n, e, d, p, q, dp, dq, qi }))),
      kid,
    );
  }
  const scalar = fromBase64Url(d);
  if (crv !== 'P-256' || scalar?.length !== 32) throw notP256();
  const key = fromScalar(scalar, kid);
  // A public part of another key would be published and verify nothing.
  if (key.publicJwk.x !== jwk.x || key.publicJwk.y !== jwk.y) throw mixedUp();
  return key;
}

function fromKey(key: KeyObject, kid: string | undefined): PrivateKey {
  const jwk = reading(() => key.export({ format: 'jwk' }) as unknown as JsonObject);
  if (jwk.kty === 'EC') {
    const scalar = fromBase64Url(String(jwk.d));
    if (jwk.crv !== 'P-256' || scalar === undefined) throw notP256();
    return fromScalar(scalar, kid);
  }
  if (jwk.kty !== 'RSA') throw unreadable();
  return rsaKey(jwk, () => key.export({ type: 'pkcs1', format: 'der' }), kid);
}

/** An RSA key from its private JWK and the DER of its RSAPrivateKey. @throws KeyError */
export function rsaKey(jwk: JsonObject, input: () => Uint8Array, kid?: string): PrivateKey {
  const n = fromBase64Url(String(jwk.n)) ?? new Uint8Array(0);
  const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
  if (bits < minRsaBits) throw new KeyError(`the RSA key is shorter than ${minRsaBits} bits`);
  if (jwk.e !== 'AQAB') throw new KeyError('the exponent of the RSA key is not 65537');
  refuseMixedUp(jwk);
  return signingKey('RS256', { kty: 'RSA', n: jwk.n as string, e: jwk.e }, jwk, input(), kid);
}

// Node takes an RSA key as it comes, even one put together from two keys (RFC 8017 section 3.2 says what has to hold). A
// signature would tell as well, and takes longer than all else that is done with the keys of a start.
function refuseMixedUp(jwk: JsonObject): void {
  const [n, e, d, p, q, dp, dq, qi] = (['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const).map((member) =>
    BigInt(`0x${toHex(fromBase64Url(String(jwk[member])) ?? new Uint8Array(1))}`),
  ) as [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint];
  if (p < 3n || q < 3n || n !== p * q) throw mixedUp();
  const isPrivate = (e * d) % (p - 1n) === 1n && (e * d) % (q - 1n) === 1n;
  if (!isPrivate || dp !== d % (p - 1n) || dq !== d % (q - 1n) || (q * qi) % p !== 1n) throw mixedUp();
}

type JwkInput = Extract<Parameters<typeof createPrivateKey>[0], { format: 'jwk' }>;
const jwkInput = (jwk: unknown): JwkInput => ({ key: jwk, format: 'jwk' }) as JwkInput;

const webAlgorithms = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
} as const;

function signingKey(
  alg: SigningAlgorithm,
  publicJwk: JsonObject,
  privateJwk: JsonObject,
  input: Uint8Array,
  named: string | undefined,
): PrivateKey {
  const kid = named ?? thumbprint(publicJwk);
  const algorithm = webAlgorithms[alg];
  let imported: Promise<CryptoKey> | undefined;
  return {
    kid,
    alg,
    publicJwk: { ...publicJwk, kid, alg, use: 'sig' },
    input,
    async sign(data) {
      imported ??= crypto.subtle.importKey('jwk', privateJwk as JsonWebKey, algorithm, false, ['sign']);
      return new Uint8Array(await crypto.subtle.sign(algorithm, await imported, data as BufferSource));
    },
  };
}

function reading<T>(work: () => T): T {
  try {
    return work();
  } catch {
    throw unreadable();
  }
}

const unreadable = () => new KeyError('the key is neither a PKCS#8 PEM nor a private JWK, EC P-256 or RSA');
const mixedUp = () => new KeyError('the parts of the key do not fit');
const notP256 = () => new KeyError('the EC key is not on P-256');
