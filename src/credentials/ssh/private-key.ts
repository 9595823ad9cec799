import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { concat, fromBase64, toBase64Url } from '../../lib/bytes.ts';
import { fromJwk, type PublicKey } from './public-key.ts';
import { readerOf, string, uint32, WireError } from './wire.ts';

const magic = Buffer.from('openssh-key-v1\0');
const begins = '-----BEGIN OPENSSH PRIVATE KEY-----';
const ends = '-----END OPENSSH PRIVATE KEY-----';
/** What the private part of an unencrypted key is padded to. */
const blockLength = 8;

/** A fresh Ed25519 key, and its private part as ssh-keygen writes it without a passphrase (OpenSSH PROTOCOL.key). */
export function makeKey(random: (bytes: number) => Uint8Array): {
  readonly publicKey: PublicKey;
  readonly pem: string;
} {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { d, ...jwk } = privateKey.export({ format: 'jwk' });
  const publicKey = fromJwk(jwk);
  return { publicKey, pem: writePrivateKey(publicKey, Buffer.from(d as string, 'base64url'), random(4)) };
}

/** `check` is 4 random bytes, by which a reader knows that it decrypted well. */
function writePrivateKey({ type, fields, blob, jwk }: PublicKey, seed: Uint8Array, check: Uint8Array): string {
  const point = Buffer.from(jwk.x as string, 'base64url');
  const inner = concat(check, check, string(type), fields, string(seed, point), string(''));
  const padding = Uint8Array.from({ length: -inner.length & (blockLength - 1) }, (_, at) => at + 1);
  const file = concat(
    magic,
    string('none'),
    string('none'),
    string(''),
    uint32(1),
    string(blob),
    string(inner, padding),
  );
  return `${begins}\n${Buffer.from(file)
    .toString('base64')
    .replace(/.{70}(?=.)/g, '$&\n')}\n${ends}\n`;
}

export const isOpenSshKey = (text: string): boolean => text.trimStart().startsWith(begins);

/** Reads a CA's key of Ed25519 or P-256, without a passphrase, as a JWK. @throws WireError */
export function readPrivateKey(text: string): JsonWebKey {
  const lines = text.trim();
  if (!lines.startsWith(begins) || !lines.endsWith(ends)) throw new WireError('no OpenSSH key');
  const file = readerOf(
    fromBase64(lines.slice(begins.length, -ends.length).replace(/[\r\n]/g, '')) ?? new Uint8Array(0),
  );
  const [isOurs, cipher] = [magic.equals(file.take(magic.length)), textOf(file.string())];
  file.string();
  file.string();
  if (!isOurs || cipher !== 'none' || Buffer.from(file.take(4)).readUInt32BE() !== 1)
    throw new WireError('one key without a passphrase is needed');
  file.string();
  const inner = readerOf(file.string());
  inner.take(8);
  const type = textOf(inner.string());
  if (type === 'ssh-ed25519') {
    const x = inner.string();
    return { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(x), d: toBase64Url(inner.string().subarray(0, 32)) };
  }
  if (type !== 'ecdsa-sha2-nistp256') throw new WireError('a CA key is Ed25519 or on P-256');
  inner.string();
  const point = inner.string();
  const d = inner.string();
  // A scalar without its leading zeros, or with one before a high bit; a JWK has all 32 bytes.
  const scalar = concat(new Uint8Array(32), d).subarray(-32);
  const [x, y] = [toBase64Url(point.subarray(1, 33)), toBase64Url(point.subarray(33))];
  return { kty: 'EC', crv: 'P-256', x, y, d: toBase64Url(scalar) };
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
