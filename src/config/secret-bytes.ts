import { fromBase64, fromBase64Url, toHex } from '../lib/bytes.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { ReadRef, Ref } from '../lib/ref.ts';
import type { Secret } from '../lib/secret.ts';

const length = 32;

/** Reads 32 bytes behind a REF: raw, or as text in base64, base64url or hex. @throws Error when they are not 32 */
export async function readSecretBytes(read: ReadRef, ref: Ref, what: string, deadline: Deadline): Promise<Uint8Array> {
  const { value } = await read(ref, deadline);
  const bytes = decode(value);
  if (bytes === undefined) throw new Error(`${what} is not 32 bytes (raw, or written in base64, base64url or hex)`);
  return bytes;
}

function decode(value: Secret): Uint8Array | undefined {
  const raw = value.reveal();
  if (raw.length === length) return raw;
  const text = Buffer.from(raw).toString('latin1').trim();
  const hex = Buffer.from(text, 'hex');
  const candidates = [fromBase64(text), fromBase64Url(text), toHex(hex) === text.toLowerCase() ? hex : undefined];
  return candidates.find((bytes) => bytes?.length === length);
}
