import { fromBase64Url, sha256, toBase64Url, toUtf8 } from '../lib/bytes.ts';
import { canonicalJson } from '../lib/canonical-json.ts';

const digestChars = 22;

/**
 * Where the next page of a query begins. It names its query by digest, so that it fits no other; it is no secret and no
 * proof, as the permission is checked for every page anew.
 */
export function makeCursor(query: Readonly<Record<string, string>>, before: number): string {
  return toBase64Url(toUtf8(`${before}.${digest(query)}`));
}

/** The index a page ends below; undefined for a cursor that is malformed or another query's. */
export function readCursor(query: Readonly<Record<string, string>>, cursor: string): number | undefined {
  const bytes = fromBase64Url(cursor);
  if (bytes === undefined) return undefined;
  const match = /^(0|[1-9]\d{0,15})\.([\w-]{22})$/.exec(Buffer.from(bytes).toString('latin1'));
  if (match === null || match[2] !== digest(query)) return undefined;
  const before = Number(match[1]);
  return Number.isSafeInteger(before) ? before : undefined;
}

const digest = (query: Readonly<Record<string, string>>) =>
  toBase64Url(sha256(canonicalJson(query))).slice(0, digestChars);
