import { fromBase64Url, sha256Url, toBase64Url } from '../../lib/bytes.ts';
import { isJsonObject, type Json, type JsonObject, parseStrictJson } from '../../lib/strict-json.ts';
import type { Disclosed } from './record.ts';

/** Characters of a disclosure's base64url text. */
export const maxDisclosureChars = 64 * 1024;

/** Thrown for text that is no disclosure; says nothing of what it holds. */
export class DisclosureError extends Error {
  override readonly name = 'DisclosureError';
}

/** Seals what may be about a person: the erasable text, and the digest of it that the record carries (RFC 9901). */
export function disclose(
  disclosed: Disclosed,
  random: (bytes: number) => Uint8Array,
): { readonly disclosure: string; readonly who: string } {
  const disclosure = toBase64Url(Buffer.from(JSON.stringify([toBase64Url(random(16)), disclosed])));
  return { disclosure, who: whoOf(disclosure) };
}

/** base64url(SHA-256(ASCII(disclosure))): the record's `identity.who`. */
export const whoOf = (disclosure: string): string => sha256Url(disclosure);

/** What a disclosure says. @throws DisclosureError for anything but `[salt, { known members }]` in canonical base64url */
export function openDisclosure(disclosure: string): Disclosed {
  if (disclosure.length > maxDisclosureChars) throw new DisclosureError('too large');
  const bytes = fromBase64Url(disclosure);
  if (bytes === undefined) throw new DisclosureError('not canonical base64url');
  const value = parse(bytes);
  if (!Array.isArray(value) || value.length !== 2) throw new DisclosureError('not a salt and an object');
  const [salt, members] = value as [Json, Json];
  if (typeof salt !== 'string' || fromBase64Url(salt)?.length !== 16) throw new DisclosureError('not a 128-bit salt');
  if (!isJsonObject(members)) throw new DisclosureError('not an object');
  checkMembers(members);
  return members as Disclosed;
}

const texts: ReadonlySet<string> = new Set(['name', 'iss', 'subject', 'token', 'why', 'address']);
const objects: ReadonlySet<string> = new Set(['claims', 'invocation', 'mint', 'query', 'match']);

function checkMembers(members: JsonObject): void {
  for (const [name, value] of Object.entries(members)) {
    if (texts.has(name) ? typeof value !== 'string' : !objects.has(name) || !isJsonObject(value))
      throw new DisclosureError('unknown or malformed member');
  }
  if (members.mint !== undefined) checkMint(members.mint as JsonObject);
}

function checkMint(mint: JsonObject): void {
  const { use, alg, claims, certificate, ...rest } = mint;
  const known = ['session', 'jwt', 'x509', 'ssh'].includes(use as string) && typeof alg === 'string';
  const inner = [claims, certificate].filter((part) => part !== undefined);
  if (!known || inner.length !== 1 || !inner.every(isJsonObject) || Object.keys(rest).length > 0)
    throw new DisclosureError('malformed mint');
}

function parse(bytes: Uint8Array): Json {
  try {
    // Claims nest up to 16 deep by themselves, inside `claims`, inside the array.
    return parseStrictJson(bytes, 20);
  } catch {
    throw new DisclosureError('not strict JSON');
  }
}
