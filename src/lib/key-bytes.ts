import { fromBase64, fromBase64Url } from './bytes.ts';
import type { Deadline } from './deadline.ts';
import type { ReadRef, Ref } from './ref.ts';
import type { Secret } from './secret.ts';

/**
 * A 32-byte key as stores keep it: the bytes themselves, or their hex, base64 or base64url text with at most one line
 * end after it. undefined for anything else.
 */
export function keyBytes(secret: Secret): Uint8Array | undefined {
  const bytes = secret.reveal();
  if (bytes.length === 32) return bytes;
  if (bytes.length < 43 || bytes.length > 66) return undefined;
  const text = Buffer.from(bytes)
    .toString('latin1')
    .replace(/\r?\n$/, '');
  const decoded = /^[0-9a-fA-F]{64}$/.test(text) ? Buffer.from(text, 'hex') : (fromBase64Url(text) ?? fromBase64(text));
  return decoded?.length === 32 ? decoded : undefined;
}

/** Reads a 32-byte key behind a REF. @throws Error naming `what` when it is none; Refusal when it cannot be read */
export async function readKeyBytes(read: ReadRef, ref: Ref, what: string, deadline: Deadline): Promise<Uint8Array> {
  const bytes = keyBytes((await read(ref, deadline)).value);
  if (bytes === undefined) throw new Error(`${what} is not 32 bytes (raw, or written in hex, base64 or base64url)`);
  return bytes;
}
