import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concat, toUtf8 } from '../../lib/bytes.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import { parseStrictJsonObject } from '../../lib/strict-json.ts';

/** What stands in front of a sealed value, in clear and authenticated with it: the file cannot pass for another. */
export interface Header {
  readonly name: string;
  readonly version: string;
  /** RFC 3339. */
  readonly createdAt: string;
}

const nonceBytes = 12;
const tagBytes = 16;
/** A header is one line; no name makes it longer. */
export const maxHeaderBytes = 4096;

/** One line of canonical JSON, then nonce, AES-256-GCM ciphertext and tag; the line is the additional data. */
export function seal(key: Uint8Array, nonce: Uint8Array, header: Header, value: Uint8Array): Uint8Array {
  const line = toUtf8(`${canonicalJson({ ...header, v: 1 })}\n`);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(line);
  return concat(line, nonce, cipher.update(value), cipher.final(), cipher.getAuthTag());
}

/** The value of a file, and what its header says. @throws Error when it is not as it was written */
export function unseal(key: Uint8Array, file: Uint8Array): { header: Header; value: Uint8Array } {
  const header = readHeader(file);
  const start = file.indexOf(0x0a) + 1;
  const end = file.length - tagBytes;
  if (end < start + nonceBytes) throw new Error('cut short');
  const nonce = file.subarray(start, start + nonceBytes);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(file.subarray(0, start));
  decipher.setAuthTag(file.subarray(end));
  const value = concat(decipher.update(file.subarray(start + nonceBytes, end)), decipher.final());
  return { header, value };
}

/** The header alone, not authenticated. @throws Error when there is none */
export function readHeader(file: Uint8Array): Header {
  const end = file.subarray(0, maxHeaderBytes).indexOf(0x0a);
  if (end < 0) throw new Error('no header');
  const { v, name, version, createdAt } = parseStrictJsonObject(file.subarray(0, end));
  if (v !== 1 || typeof name !== 'string' || typeof version !== 'string' || typeof createdAt !== 'string')
    throw new Error('not a header');
  return { name, version, createdAt };
}
