import * as crypto from 'node:crypto';

const { createHash, createHmac, hkdfSync, timingSafeEqual } = crypto;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const toUtf8 = (text: string): Uint8Array => encoder.encode(text);

/** Decodes UTF-8 strictly: throws TypeError on an invalid sequence, keeps a BOM as U+FEFF (RFC 3629). */
export const fromUtf8 = (bytes: Uint8Array): string => decoder.decode(bytes);

export const toBase64 = (bytes: Uint8Array): string => view(bytes).toString('base64');
export const toBase64Url = (bytes: Uint8Array): string => view(bytes).toString('base64url');
export const toHex = (bytes: Uint8Array): string => view(bytes).toString('hex');

/** Decodes canonical base64url (RFC 4648 section 5, no padding, no unused bits); undefined for anything else. */
export function fromBase64Url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

/** Decodes canonical, padded base64 (RFC 4648 section 4); undefined for anything else. */
export function fromBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export const sha256 = (...parts: readonly (Uint8Array | string)[]): Uint8Array => {
  if (oneShot !== undefined && parts.length === 1) return oneShot('sha256', parts[0] as string, 'buffer');
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** SHA-256 put into a place of 32 bytes: with none of its own, it costs half. */
export function sha256Into(target: Buffer, at: number, data: Uint8Array | string): void {
  if (oneShot === undefined) target.set(sha256(data), at);
  else {
    const digest = oneShot('sha256', data as string, 'binary');
    // Sooner than `write`.
    for (let unit = 0; unit < 32; unit++) target[at + unit] = digest.charCodeAt(unit);
  }
}

/** base64url(SHA-256(UTF-8 of the text)). */
export const sha256Url = (text: string | Uint8Array): string =>
  oneShot === undefined ? toBase64Url(sha256(text)) : oneShot('sha256', text as string, 'base64url');

// Half the cost of a Hash object; not every runtime has it.
const oneShot: typeof crypto.hash | undefined = crypto.hash;

export const hmacSha256 = (key: Uint8Array, data: Uint8Array | string): Uint8Array =>
  createHmac('sha256', key).update(data).digest();

/** HKDF-SHA256 with an empty salt (RFC 5869); `length` in bytes. */
export const hkdfSha256 = (input: Uint8Array, info: string, length: number): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', input, new Uint8Array(0), info, length));

function view(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
