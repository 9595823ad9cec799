import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concat, fromBase64Url, fromUtf8, toBase64Url, toUtf8 } from '../lib/bytes.ts';
import { canonicalJson } from '../lib/canonical-json.ts';
import type { Deadline } from '../lib/deadline.ts';
import { isJsonObject, parseStrictJson, parseStrictJsonObject } from '../lib/strict-json.ts';
import { parseInstant } from '../lib/time.ts';
import type { Kms } from './kms.ts';
import { asked } from './kms-fault.ts';
import { KeyError } from './private-key.ts';

/** A private key and when it was made. */
export interface MadeKey {
  /** PKCS#8 PEM. */
  readonly pem: string;
  /** RFC 3339. */
  readonly made: string;
}

/** For which KMS key it was sealed; authenticated with it, so that one sealed text cannot pass for another. */
export interface SealedFor {
  readonly kind: string;
  readonly key: string;
}

const nonceBytes = 12;
const tagBytes = 16;
/** A KMS's own ciphertext of 32 bytes, and at most four keys, are far below. */
const maxSealedBytes = 64 * 1024;

const boundTo = ({ kind, key }: SealedFor): Uint8Array => toUtf8(canonicalJson({ v: 1, use: 'signer', kind, key }));

/**
 * One JSON object: a fresh 32-byte data key, encrypted by the KMS, and the keys under it (AES-256-GCM; nonce, ciphertext
 * and tag, base64url).
 */
export async function sealKeys(
  keys: readonly MadeKey[],
  owner: SealedFor,
  kms: Kms,
  random: (bytes: number) => Uint8Array,
  deadline: Deadline,
): Promise<string> {
  const dataKey = random(32);
  const nonce = random(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', dataKey, nonce, { authTagLength: tagBytes });
  cipher.setAAD(boundTo(owner));
  const plain = toUtf8(JSON.stringify(keys));
  const sealed = concat(nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag());
  const encrypted = await asked(kms.encrypt(dataKey, deadline));
  const { kind, key } = owner;
  return `${JSON.stringify({ v: 1, kind, key, dataKey: toBase64Url(encrypted), keys: toBase64Url(sealed) }, null, 2)}\n`;
}

/** The keys of a sealed text, newest first: one call to the KMS. @throws KeyError, Refusal */
export async function unsealKeys(
  text: string,
  owner: SealedFor,
  kms: Kms,
  deadline: Deadline,
): Promise<readonly MadeKey[]> {
  const { dataKey, keys, ...head } = readSealed(text);
  if (head.kind !== owner.kind || head.key !== owner.key)
    throw new KeyError(`the keys were sealed for ${head.kind} ${head.key}, not for ${owner.kind} ${owner.key}`);
  const opened = await asked(kms.decrypt(dataKey, deadline));
  try {
    const nonce = keys.subarray(0, nonceBytes);
    const decipher = createDecipheriv('aes-256-gcm', opened, nonce, { authTagLength: tagBytes });
    decipher.setAAD(boundTo(owner));
    decipher.setAuthTag(keys.subarray(-tagBytes));
    const plain = concat(decipher.update(keys.subarray(nonceBytes, -tagBytes)), decipher.final());
    return readKeys(plain);
  } catch {
    throw new KeyError('the sealed keys are not as they were written');
  }
}

function readSealed(text: string): SealedFor & { readonly dataKey: Uint8Array; readonly keys: Uint8Array } {
  try {
    if (text.length > maxSealedBytes) throw new Error('too large');
    const { v, kind, key, dataKey, keys } = parseStrictJsonObject(text);
    const bytes = (value: unknown) => (typeof value === 'string' ? fromBase64Url(value) : undefined);
    const [encrypted, sealed] = [bytes(dataKey), bytes(keys)];
    if (v === 1 && typeof kind === 'string' && typeof key === 'string' && encrypted !== undefined)
      if (sealed !== undefined && sealed.length > nonceBytes + tagBytes)
        return { kind, key, dataKey: encrypted, keys: sealed };
  } catch {}
  throw new KeyError('what lies there are no sealed keys');
}

function readKeys(plain: Uint8Array): readonly MadeKey[] {
  const keys = parseStrictJson(fromUtf8(plain));
  if (!Array.isArray(keys) || keys.length === 0) throw new Error('no keys');
  return keys.map((key) => {
    if (!isJsonObject(key)) throw new Error('no key');
    const { pem, made } = key;
    if (typeof pem !== 'string' || typeof made !== 'string' || parseInstant(made) === undefined)
      throw new Error('no key');
    return { pem, made };
  });
}
