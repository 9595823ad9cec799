import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { concat, equalBytes, fromBase64, sha256, toBase64, toBase64Url, toHex, toUtf8 } from '../../lib/bytes.ts';

// C2SP signed-note with Ed25519 keys.

const ed25519Type = 1;
// PKCS#8 of an Ed25519 private key is this and the 32-byte seed (RFC 8410 section 7).
const pkcs8Prefix = Uint8Array.from([
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
]);

/** Thrown for a note that is malformed or not signed by the key; `reason` is a stable word. */
export class NoteError extends Error {
  override readonly name = 'NoteError';
  constructor(readonly reason: string) {
    super(`bad signed note: ${reason}`);
  }
}

export interface NoteSigner {
  readonly name: string;
  /** The verifier key: `name+hash+base64`. */
  readonly vkey: string;
  /** Signs text that ends in a newline; the note with its one signature line. */
  sign(text: string): string;
  /** The same key under another name. */
  as(name: string): NoteSigner;
}

export interface NoteVerifier {
  readonly name: string;
  /** The note's text. @throws NoteError unless a signature of this key is there and good */
  open(note: string): string;
}

/** @throws Error for a name a note cannot carry, or a seed that is not 32 bytes */
export function noteSigner(name: string, seed: Uint8Array): NoteSigner {
  if (!isKeyName(name)) throw new Error('a note key name has no spaces and no plus sign');
  if (seed.length !== 32) throw new Error('an Ed25519 seed has 32 bytes');
  const key = privateKeyOf(seed);
  const publicKey = Buffer.from(publicPart(key), 'base64url');
  const id = keyId(name, publicKey);
  return {
    name,
    vkey: formatVkey(name, publicKey),
    as: (other) => noteSigner(other, seed),
    sign: (text) => `${text}\n\u2014 ${name} ${toBase64(concat(id, sign(null, toUtf8(text), key)))}\n`,
  };
}

// Read as DER, a seed costs a start as much as all its other keys: OpenSSL asks every decoder. Node does not look at the `x`
// of a private JWK, but works it out; a runtime that looks, or takes what is there, is given the DER.
function privateKeyOf(seed: Uint8Array): KeyObject {
  try {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: '', d: toBase64Url(seed) };
    const key = createPrivateKey({ key: jwk, format: 'jwk' });
    if (publicPart(key).length === 43) return key;
  } catch {}
  return createPrivateKey({ key: Buffer.from(concat(pkcs8Prefix, seed)), format: 'der', type: 'pkcs8' });
}

const publicPart = (key: KeyObject): string => createPublicKey(key).export({ format: 'jwk' }).x as string;

/** @throws NoteError for text that is no Ed25519 verifier key */
export function noteVerifier(vkey: string): NoteVerifier {
  const { name, id, publicKey } = parseVkey(vkey);
  const key = publicKeyOf(publicKey);
  return {
    name,
    open(note) {
      const { text, lines } = split(note);
      const known = lines.map(signatureLine).filter((line) => line.name === name && equalBytes(line.id, id));
      if (known.length === 0) throw new NoteError('not_signed');
      for (const { signature } of known)
        if (!verify(null, toUtf8(text), key, signature)) throw new NoteError('bad_signature');
      return text;
    },
  };
}

/** The verifier key of the same Ed25519 key under another name. @throws NoteError for text that is no verifier key */
export function vkeyAs(vkey: string, name: string): string {
  if (!isKeyName(name)) throw new NoteError('vkey_malformed');
  return formatVkey(name, parseVkey(vkey).publicKey);
}

const formatVkey = (name: string, publicKey: Uint8Array): string =>
  `${name}+${toHex(keyId(name, publicKey))}+${toBase64(concat(Uint8Array.of(ed25519Type), publicKey))}`;

function parseVkey(vkey: string): { name: string; id: Uint8Array; publicKey: Uint8Array } {
  const [, name, hash, encoded] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(vkey) ?? [];
  const material = fromBase64(encoded ?? '');
  if (name === undefined || !isKeyName(name) || material?.length !== 33 || material[0] !== ed25519Type)
    throw new NoteError('vkey_malformed');
  const publicKey = material.subarray(1);
  const id = keyId(name, publicKey);
  if (toHex(id) !== hash) throw new NoteError('vkey_hash');
  return { name, id, publicKey };
}

function publicKeyOf(bytes: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(bytes) }, format: 'jwk' });
  } catch {
    throw new NoteError('vkey_malformed');
  }
}

const maxNoteChars = 256 * 1024;
const maxSignatures = 64;

function split(note: string): { text: string; lines: string[] } {
  // Control characters other than newline are not allowed anywhere.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  if (note.length > maxNoteChars || !note.isWellFormed() || /[\u0000-\u0009\u000b-\u001f]/.test(note))
    throw new NoteError('malformed');
  const gap = note.lastIndexOf('\n\n');
  if (gap < 0 || !note.endsWith('\n')) throw new NoteError('malformed');
  const lines = note.slice(gap + 2, -1).split('\n');
  if (lines.length > maxSignatures) throw new NoteError('malformed');
  return { text: note.slice(0, gap + 1), lines };
}

function signatureLine(line: string): { name: string; id: Uint8Array; signature: Uint8Array } {
  const [dash, name, encoded, ...rest] = line.split(' ');
  const bytes = fromBase64(encoded ?? '');
  if (dash !== '\u2014' || name === undefined || !isKeyName(name) || rest.length > 0 || bytes === undefined)
    throw new NoteError('malformed');
  if (bytes.length < 5) throw new NoteError('malformed');
  return { name, id: bytes.subarray(0, 4), signature: bytes.subarray(4) };
}

// The first says the same of most names, without Unicode's tables, which take long to read.
const isKeyName = (name: string): boolean =>
  /^[!-*,-~]+$/.test(name) || (name.length > 0 && name.isWellFormed() && !/[\s\p{Z}+]/u.test(name));

const keyId = (name: string, publicKey: Uint8Array): Uint8Array =>
  sha256(toUtf8(`${name}\n`), Uint8Array.of(ed25519Type), publicKey).subarray(0, 4);
