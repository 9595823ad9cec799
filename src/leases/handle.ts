import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concat, fromBase64Url, hmacSha256, sha256, toBase64Url } from '../lib/bytes.ts';
import { canonicalJson } from '../lib/canonical-json.ts';
import type { Identity } from '../lib/identity.ts';

/** What a handle says of its lease: enough to end it on any instance that has the key. */
export interface Handled {
  readonly id: string;
  readonly kind: string;
  readonly credential: string;
  /** Milliseconds since the epoch, a whole second. */
  readonly expiresAt: number;
  /** Whose it is, as `holder` gives it. */
  readonly holder: string;
  readonly account?: string | undefined;
  /** What ending it needs beside the account; may be secret. */
  readonly kept?: string | undefined;
}

/** Seals handles with the newest key and opens those of all; says by which name an identity's leases are counted. */
export interface Handles {
  seal(lease: Handled): string;
  /** Undefined for anything but a handle that one of these keys sealed. */
  open(handle: string): Handled | undefined;
  /** HMAC over `[issuer, iss, subject]`, base64url. */
  holder(identity: Whose): string;
  /** The same under the older keys: by these the leases from before a rotation are counted. */
  formerHolders(identity: Whose): readonly string[];
}

type Whose = Pick<Identity, 'issuer' | 'iss' | 'subject'>;

export interface HandleKeys {
  /** AES-256. */
  readonly handle: Uint8Array;
  /** HMAC-SHA-256. */
  readonly identity: Uint8Array;
}

export const prefix = 'hpl_';
const format = 1;
const nonceBytes = 12;
const tagBytes = 16;
const headBytes = 1 + 4;
/** Of the text; what a lease keeps has 8 KiB at most. */
const longest = 16_384;

/** Identities whose name is remembered: most callers come again. */
const mostHolders = 1_000;

const keyId = (key: Uint8Array): Uint8Array => sha256(key).subarray(0, 4);

/** `keys`: the newest first, at least one. A handle is `hpl_` + base64url of 0x01, key id, nonce and AES-256-GCM. */
export function openHandles(
  keys: readonly [HandleKeys, ...HandleKeys[]],
  random: (bytes: number) => Uint8Array,
): Handles {
  const [newest, ...older] = keys;
  const head = concat(Uint8Array.of(format), keyId(newest.handle));
  const holders = new Map<string, string>();

  function holder({ issuer, iss, subject }: Whose): string {
    const whose = canonicalJson([issuer, iss, subject]);
    const known = holders.get(whose);
    if (known !== undefined) return known;
    const name = nameOf(newest, whose);
    if (holders.size >= mostHolders) holders.clear();
    holders.set(whose, name);
    return name;
  }

  return {
    seal({ id, kind, credential, expiresAt, holder, account, kept }) {
      const text = JSON.stringify([id, kind, credential, expiresAt / 1000, holder, account ?? null, kept ?? null]);
      const nonce = random(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', newest.handle, nonce).setAAD(head);
      const sealed = concat(cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag());
      const handle = prefix + toBase64Url(concat(head, nonce, sealed));
      // One that no instance would open is not handed over.
      if (handle.length > longest) throw new Error('what the lease keeps is too long for its handle');
      return handle;
    },
    open(handle) {
      if (!handle.startsWith(prefix) || handle.length > longest) return undefined;
      const bytes = fromBase64Url(handle.slice(prefix.length));
      if (bytes === undefined || bytes.length < headBytes + nonceBytes + tagBytes) return undefined;
      for (const { handle: key } of keys) {
        const text = unseal(bytes, key);
        if (text !== undefined) return read(text);
      }
      return undefined;
    },
    holder,
    formerHolders: ({ issuer, iss, subject }) =>
      older.slice(0, 16).map((key) => nameOf(key, canonicalJson([issuer, iss, subject]))),
  };
}

const nameOf = ({ identity: key }: HandleKeys, whose: string): string => toBase64Url(hmacSha256(key, whose));

function unseal(bytes: Uint8Array, key: Uint8Array): string | undefined {
  const head = bytes.subarray(0, headBytes);
  if (head[0] !== format || !Buffer.from(keyId(key)).equals(head.subarray(1))) return undefined;
  const nonce = bytes.subarray(headBytes, headBytes + nonceBytes);
  const sealed = bytes.subarray(headBytes + nonceBytes, bytes.length - tagBytes);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes }).setAAD(head);
  decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes));
  try {
    return Buffer.concat([decipher.update(sealed), decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

/** What `seal` wrote: nobody else has the key. */
function read(text: string): Handled {
  const [id, kind, credential, end, holder, account, kept] = JSON.parse(text);
  return {
    id,
    kind,
    credential,
    expiresAt: end * 1000,
    holder,
    account: account ?? undefined,
    kept: kept ?? undefined,
  };
}
