import { fromBase64Url, fromUtf8, sha256Url } from '../../lib/bytes.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../lib/strict-json.ts';
import { isUlid } from '../../lib/ulid.ts';
import type { PlacedEntry } from '../ledger.ts';
import type { IndexFilter } from '../query-index.ts';
import { type Asked, freshEnds } from './catch-up.ts';
import { rowOf } from './index-row.ts';
import { answerQuestion, type Page } from './questions.ts';
import { certificateSerials, isSerialOf, sshSerial } from './serial-numbers.ts';

export type MatchedAs = 'id' | 'account' | 'token' | 'fingerprint';

/** The keyed fingerprint of a value under one of the keys that are known here. */
export interface Fingerprint {
  readonly fingerprint: string;
  readonly fingerprintKey: string;
}

export interface Traced {
  readonly matched?: MatchedAs;
  /** The newest first. */
  readonly entries: readonly PlacedEntry[];
  /** There are more than these; of none, more that might be it than were looked through. */
  readonly more: boolean;
  /** Of a value that matched nothing, or a fingerprint: entries whose fingerprint is under a key that is not known here. */
  readonly notComparable?: number;
  /** Where all logs have an index: how far each, by origin, was looked through; positions below. */
  readonly indexed?: Readonly<Record<string, number>>;
  /** Where there are any: the ledger's newest entries that were not looked through, as no index has seen them yet. */
  readonly missing?: number;
}

const mostEntries = 100;
/** Pages a log without an index is looked through for one guess. */
const mostPages = 5;
/** SSH certificates on a page of those looked through for a serial number: it is a part of the issuance's id and in no index. */
const pageCertificates = 1_000;

/** Finds the entries of whatever an auditor has in hand. Keeps nothing of the value and throws nothing of it. */
export async function traceValue(
  logs: readonly Asked[],
  value: string,
  fingerprints: (value: string, deadline: Deadline) => Promise<readonly Fingerprint[]>,
  deadline: Deadline,
): Promise<Traced> {
  const prints = await Promise.all(secretsIn(value).map((secret) => fingerprints(secret, deadline)));
  const guesses: Guess[] = [
    ...guessesAt(value),
    // Under older keys and with another line's end it may have been handed out as well: who had it is all of these.
    ['fingerprint', ...prints.flat().map(({ fingerprint }) => ({ fingerprint }))],
    ...accountsIn(value).map((account): Guess => ['account', { account }]),
  ];
  // Once for all guesses: to read what is new into an index takes time.
  const { ends, missing } = await freshEnds(logs, deadline);
  const indexed = logs.every(({ index }) => index !== undefined) && {
    indexed: Object.fromEntries(logs.map(({ origin }, at) => [origin, ends[at] as number])),
    ...(missing > 0 && { missing }),
  };
  const others = async () => {
    const known = new Set(prints.flat().map(({ fingerprintKey }) => fingerprintKey));
    const notComparable = await countOthers(logs, known, deadline);
    return notComparable > 0 && { notComparable };
  };
  let unseen = false;
  for (const [matched, ...filters] of guesses) {
    const found = await lookUpAll(logs, filters, ends, deadline);
    unseen ||= found.more;
    if (found.entries.length === 0) continue;
    return { matched, ...found, ...(matched === 'fingerprint' && (await others())), ...indexed };
  }
  const { certificate, more } = await certificateOf(logs, value, ends, deadline);
  if (certificate !== undefined) return { matched: 'id', entries: [certificate], more: false, ...indexed };
  return { entries: [], more: unseen || more, ...(await others()), ...indexed };
}

/** What a value may be, and where that would stand: whatever fits one of these. No entry fits two. */
type Guess = readonly [matched: MatchedAs, ...filters: IndexFilter[]];

async function lookUpAll(
  logs: readonly Asked[],
  filters: readonly IndexFilter[],
  ends: readonly number[],
  deadline: Deadline,
) {
  const found = [];
  for (const filter of filters) found.push(await lookUp(logs, filter, ends, deadline));
  const all = found.flatMap(({ entries }) => entries);
  // As a page has them: of one log by position.
  const rank = (entry: PlacedEntry) => (logs.length === 1 ? entry.index : rowOf(entry).time);
  return {
    entries: all.sort((a, b) => rank(b) - rank(a)).slice(0, mostEntries),
    more: all.length > mostEntries || found.some(({ more }) => more),
  };
}

async function lookUp(logs: readonly Asked[], filter: IndexFilter, ends: readonly number[], deadline: Deadline) {
  const entries: PlacedEntry[] = [];
  let before: readonly number[] | undefined = ends;
  for (let pages = 0; pages < mostPages; pages++) {
    const page: Page = await answerQuestion(logs, { filter, limit: mostEntries, before }, deadline);
    entries.push(...page.entries);
    before = page.next;
    if (before === undefined || entries.length >= mostEntries) break;
  }
  return { entries: entries.slice(0, mostEntries), more: before !== undefined };
}

/** The newest SSH certificate with this serial number, of those that there is time for. */
async function certificateOf(logs: readonly Asked[], value: string, ends: readonly number[], deadline: Deadline) {
  const serial = sshSerial(value);
  const enough = deadline.left() / 2;
  let before: readonly number[] | undefined = serial === undefined ? undefined : ends;
  for (let pages = 0; before !== undefined && pages < mostPages && deadline.left() > enough; pages++) {
    const question = { filter: { type: 'issuance', kind: 'ssh' }, limit: pageCertificates, before };
    const page: Page = await answerQuestion(logs, question, deadline);
    const found = page.entries.find((entry) => isSerialOf(serial as bigint, rowOf(entry).issuance ?? ''));
    if (found !== undefined) return { certificate: found, more: false };
    before = page.next;
  }
  return { more: before !== undefined };
}

async function countOthers(logs: readonly Asked[], known: ReadonlySet<string>, deadline: Deadline): Promise<number> {
  const counts = await Promise.all(logs.map(async ({ index }) => (await index?.fingerprintKeys?.(deadline)) ?? {}));
  return counts
    .flatMap((keys) => Object.entries(keys))
    .filter(([key]) => !known.has(key))
    .reduce((sum, [, n]) => sum + n, 0);
}

/** What a value says by itself: an issuance id, a token or a token's digest, a fingerprint as a record has it. */
function guessesAt(value: string): Guess[] {
  const text = value.trim();
  const guesses: Guess[] = [];
  const id = text.toLowerCase().replace(/^hp_/, '');
  if (isUlid(id)) {
    if (id !== text.toLowerCase()) guesses.push(['account', { account: `hp_${id}` }]);
    guesses.push(['id', { issuance: id }]);
  }
  if (/^[A-Za-z0-9_-]{43}$/.test(text)) guesses.push(['token', { token: text }]);
  if (/^hmac-sha256:[A-Za-z0-9_-]{43}$/.test(text)) guesses.push(['fingerprint', { fingerprint: text }]);
  const token = tokenIn(text);
  if (token === undefined) return guesses;
  const { iss, jti } = token.claims;
  // What this deployment signs is named by its `jti`: the issuance's id.
  if (typeof jti === 'string' && isUlid(jti)) guesses.push(['id', { issuance: jti }]);
  if (typeof iss === 'string' && typeof jti === 'string')
    guesses.push(['token', { token: sha256Url(canonicalJson([iss, jti])) }]);
  guesses.push(['token', { token: sha256Url(token.signed) }]);
  return guesses;
}

/** A compact JWT's claims; nothing is verified, as only its name is looked up. */
function tokenIn(text: string): { readonly signed: string; readonly claims: JsonObject } | undefined {
  const [header, payload, signature, ...rest] = text.replace(/^Bearer +/i, '').split('.');
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return undefined;
  const bytes = fromBase64Url(payload);
  try {
    const claims = bytes === undefined ? undefined : parseStrictJson(fromUtf8(bytes));
    return isJsonObject(claims) ? { signed: `${header}.${payload}`, claims } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What of it may be a secret: all of it, without the line's end that came along, with the one that was lost (a PEM key has
 * it, and so has what was stored by `echo`), and the password of a URL.
 */
function secretsIn(value: string): string[] {
  const { password } = partsOf(value);
  const text = value.trim();
  return distinct([value, value.replace(/\r?\n$/, ''), text, `${text.replaceAll('\r\n', '\n')}\n`, ...password]);
}

/** What of it may be an account at a target: it, the user of a URL, the session of an assumed role, a serial number. */
function accountsIn(value: string): string[] {
  const text = value.trim();
  const session = /^arn:aws[\w-]*:sts::\d{12}:assumed-role\/[^/]+\/([^/]+)$/.exec(text)?.[1] ?? '';
  const { user } = partsOf(value);
  return distinct([text, ...user, session, ...certificateSerials(text)]);
}

function partsOf(value: string): { readonly user: string[]; readonly password: string[] } {
  const text = value.trim();
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text) || !URL.canParse(text)) return { user: [], password: [] };
  const { username, password } = new URL(text);
  return { user: [username, decoded(username)], password: [password, decoded(password)] };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const distinct = (texts: readonly string[]): string[] => [...new Set(texts)].filter((text) => text !== '');
