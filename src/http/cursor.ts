import { equalBytes, fromBase64Url, hmacSha256, sha256, toBase64Url, toUtf8 } from '../lib/bytes.ts';
import { canonicalJson } from '../lib/canonical-json.ts';

/** How long the pages of one query go on, seconds; afterwards a cursor begins a query of its own. */
const lifetime = 3_600;
const digestChars = 22;

/** Whose query a page belongs to: what was asked, and `[issuer, iss, subject]` of who asked. */
export interface CursorOf {
  readonly query: Readonly<Record<string, string>>;
  readonly who: readonly string[];
}

/** Where a page begins; `since`: when the query's `read` record was written, seconds since the epoch. */
export interface Cursor {
  /** A position in each log. */
  readonly at: readonly number[];
  /** Goes on with what came after these positions, not with what lies below them. */
  readonly newer?: boolean;
  /** In which log of its ledger each of these lies; absent in what goes downwards. */
  readonly generations?: readonly number[];
  readonly since: number;
}

/**
 * Where the next page of a query begins. It names its query by digest, so that it fits no other, and carries our proof
 * that the query was recorded, as only its first page is.
 */
export function makeCursor(key: Uint8Array, of: CursorOf, { at, newer, generations, since }: Cursor): string {
  const logs = generations === undefined ? '' : `~${generations.join('-')}`;
  const text = `${newer === true ? 'n' : ''}${at.join('-')}${logs}.${since}.${digest(of.query)}`;
  return toBase64Url(toUtf8(`${text}.${toBase64Url(proof(key, of, text))}`));
}

const shape =
  /^((n?)((?:0|[1-9]\d{0,14})(?:-(?:0|[1-9]\d{0,14})){0,63})(?:~([1-9]\d{0,8}(?:-[1-9]\d{0,8}){0,63}))?\.(0|[1-9]\d{0,11})\.([\w-]{22}))\.([\w-]{43})$/;

/**
 * Reads a cursor; undefined for one that is malformed or another query's. `recorded`: we made it within the hour, for
 * this identity, so the query it goes on with is in the log.
 */
export function readCursor(
  key: Uint8Array,
  of: CursorOf,
  cursor: string,
  now: number,
): (Cursor & { readonly recorded: boolean }) | undefined {
  const bytes = fromBase64Url(cursor);
  if (bytes === undefined) return undefined;
  const match = shape.exec(Buffer.from(bytes).toString('latin1'));
  if (match === null) return undefined;
  const [, text = '', newer, at = '', logs, since, query, given = ''] = match;
  if (query !== digest(of.query)) return undefined;
  const age = now / 1000 - Number(since);
  const ours = equalBytes(fromBase64Url(given) ?? new Uint8Array(0), proof(key, of, text));
  return {
    at: at.split('-').map(Number),
    newer: newer === 'n',
    ...(logs !== undefined && { generations: logs.split('-').map(Number) }),
    since: Number(since),
    recorded: ours && age >= -1 && age < lifetime,
  };
}

const digest = (query: CursorOf['query']) => toBase64Url(sha256(canonicalJson(query))).slice(0, digestChars);

const proof = (key: Uint8Array, { who }: CursorOf, text: string) => hmacSha256(key, canonicalJson([text, ...who]));
