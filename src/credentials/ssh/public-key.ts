import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { concat, equalBytes, fromBase64, toBase64Url } from '../../lib/bytes.ts';
import { mpint, readerOf, string, WireError } from './wire.ts';

export type PublicKeyType = 'ssh-ed25519' | 'ecdsa-sha2-nistp256' | 'ssh-rsa';

/** A public key as SSH has it. */
export interface PublicKey {
  readonly type: PublicKeyType;
  /** The key itself, without its type: what a certificate repeats of it. */
  readonly fields: Uint8Array;
  /** Type and fields: what stands in base64 in a line, and what fingerprints are made of. */
  readonly blob: Uint8Array;
  readonly jwk: JsonWebKey;
}

const longestLine = 4096;
const linePattern = /^(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) ([A-Za-z0-9+/]+={0,2})(?: [^\r\n\0]*)?$/;

/**
 * Reads one line as ssh-keygen writes it (RFC 4253 section 6.6): no options before it, no certificate; the comment is
 * dropped. Undefined for anything else, for RSA below 2048 bits, and for a key in a second encoding. Whether a point is on
 * its curve is not looked at.
 */
export function parsePublicLine(line: string): PublicKey | undefined {
  const [, type, base64] = (line.length <= longestLine && linePattern.exec(line.replace(/\r?\n$/, ''))) || [];
  const blob = base64 === undefined ? undefined : fromBase64(base64);
  if (blob === undefined) return undefined;
  try {
    return readKey(type as PublicKeyType, blob);
  } catch {
    return undefined;
  }
}

export const publicLine = ({ type, blob }: Pick<PublicKey, 'type' | 'blob'>): string =>
  `${type} ${Buffer.from(blob).toString('base64')}`;

function readKey(type: PublicKeyType, blob: Uint8Array): PublicKey | undefined {
  const reader = readerOf(blob);
  if (!equalBytes(reader.string(), Buffer.from(type))) return undefined;
  const jwk = readJwk[type](() => reader.string());
  if (reader.rest().length > 0) return undefined;
  const fields = fieldsOf(jwk);
  return equalBytes(concat(string(type), fields), blob) ? { type, fields, blob, jwk } : undefined;
}

/** @throws any error for a point that is on no curve */
export const keyObject = ({ jwk }: PublicKey): KeyObject => createPublicKey({ key: jwk, format: 'jwk' });

export function isOnCurve(key: PublicKey): boolean {
  try {
    return keyObject(key).type === 'public';
  } catch {
    return false;
  }
}

/** A key from its JWK: `kty` OKP with Ed25519, EC with P-256, or RSA. */
export function fromJwk(jwk: JsonWebKey): PublicKey {
  const type = jwk.kty === 'OKP' ? 'ssh-ed25519' : jwk.kty === 'EC' ? 'ecdsa-sha2-nistp256' : 'ssh-rsa';
  const fields = fieldsOf(jwk);
  return { type, fields, blob: concat(string(type), fields), jwk };
}

const bytesOf = (text: string | undefined): Uint8Array => Buffer.from(text ?? '', 'base64url');

function fieldsOf({ kty, x, y, e, n }: JsonWebKey): Uint8Array {
  if (kty === 'OKP') return string(bytesOf(x));
  if (kty === 'EC') return concat(string('nistp256'), string(Uint8Array.of(4), bytesOf(x), bytesOf(y)));
  return concat(mpint(bytesOf(e)), mpint(bytesOf(n)));
}

const readJwk: Readonly<Record<PublicKeyType, (next: () => Uint8Array) => JsonWebKey>> = {
  'ssh-ed25519'(next) {
    const x = next();
    if (x.length !== 32) throw new WireError('no Ed25519 key');
    return { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(x) };
  },
  'ecdsa-sha2-nistp256'(next) {
    next();
    const point = next();
    if (point.length !== 65) throw new WireError('no point of P-256');
    return { kty: 'EC', crv: 'P-256', x: toBase64Url(point.subarray(1, 33)), y: toBase64Url(point.subarray(33)) };
  },
  'ssh-rsa'(next) {
    const [e, n] = [withoutZero(next()), withoutZero(next())];
    // Of 2048 to 8192 bits.
    const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
    if (bits < 2048 || bits > 8192 || toBase64Url(e) !== 'AQAB') throw new WireError('no RSA key to be taken');
    return { kty: 'RSA', e: toBase64Url(e), n: toBase64Url(n) };
  },
};

const withoutZero = (bytes: Uint8Array): Uint8Array => (bytes[0] === 0 ? bytes.subarray(1) : bytes);
