import { canonicalJson } from '../lib/canonical-json.ts';
import type { Mint } from '../lib/mint.ts';
import { isJsonObject, type Json, type JsonObject } from '../lib/strict-json.ts';
import { parseInstant } from '../lib/time.ts';
import { isUlid } from '../lib/ulid.ts';

export type RecordType =
  | 'intent'
  | 'issuance'
  | 'failure'
  | 'denial'
  | 'revocation'
  | 'renewal'
  | 'session'
  | 'lockdown'
  | 'policy'
  | 'key'
  | 'rotation'
  | 'store-write'
  | 'erasure'
  | 'read'
  | 'sign-in'
  | 'summary';

export interface Writer {
  /** The broker's `broker.url`. */
  readonly name: string;
  readonly instance: string;
  readonly version: string;
}

export interface LeaseFacts {
  readonly expiresAt: string;
  readonly ttl: number;
  readonly account?: string;
  readonly revocable: boolean;
}

/** One record as API section 4 has it; members that do not apply are absent. */
export interface LedgerRecord {
  readonly v: 1;
  readonly type: RecordType;
  readonly id: string;
  /** RFC 3339 UTC, milliseconds. */
  readonly time: string;
  readonly writer: Writer;
  readonly issuance?: string;
  readonly request?: string;
  readonly trace?: string;
  readonly identity?: { readonly issuer: string; readonly who: string };
  readonly credential?: string;
  readonly kind?: string;
  readonly store?: string;
  readonly version?: string;
  readonly grant?: string;
  readonly policy?: string;
  readonly epoch?: number;
  readonly once?: string;
  readonly reason?: string;
  readonly count?: number;
  readonly lease?: LeaseFacts;
  readonly fingerprint?: string;
  readonly fingerprintKey?: string;
  // The other types' own members.
  readonly audience?: string;
  readonly purpose?: string;
  readonly kid?: string;
  readonly jwk?: JsonObject;
  readonly state?: string;
  readonly hash?: string;
  readonly grants?: number;
  readonly credentials?: number;
  readonly query?: string;
  readonly items?: number;
  readonly issuer?: string;
  readonly from?: string;
  readonly to?: string;
  readonly counts?: Readonly<Record<string, number>>;
  readonly op?: string;
  readonly target?: string;
  readonly until?: string;
  readonly step?: string;
}

/** The erasable part of a record: who it was about. Absent members are left out. */
export interface Disclosed {
  readonly name?: string;
  readonly iss?: string;
  readonly subject?: string;
  readonly token?: string;
  readonly claims?: JsonObject;
  readonly invocation?: JsonObject;
  readonly why?: string;
  readonly address?: string;
  readonly mint?: Mint;
  readonly query?: JsonObject;
  readonly match?: JsonObject;
}

/** A record as its canonical text, with its disclosure (base64url) or null. */
export interface RecordText {
  readonly record: string;
  readonly disclosure: string | null;
}

/** Bytes of a record's canonical text. */
export const maxRecordBytes = 32 * 1024;

/** A record's canonical text (RFC 8785); members that are undefined are left out. */
export const recordText = (record: LedgerRecord): string =>
  canonicalJson(record as unknown as Parameters<typeof canonicalJson>[0]);

/** Thrown for text that is no record; `reason` is a stable word. */
export class RecordError extends Error {
  override readonly name = 'RecordError';
  constructor(readonly reason: string) {
    super(`not a record: ${reason}`);
  }
}

/**
 * Reads a record strictly: canonical JSON, at most 32 KiB, the members of its type and no others.
 *
 * @throws RecordError
 */
export function parseRecord(text: string): LedgerRecord {
  if (text.length > maxRecordBytes || Buffer.byteLength(text) > maxRecordBytes) throw new RecordError('too_large');
  const value = parse(text);
  if (!isCanonical(value, text)) throw new RecordError('not_canonical');
  checkMembers(value);
  return value as unknown as LedgerRecord;
}

/** The issuance a record is about: its own id for an issuance. */
export const issuanceOf = (record: LedgerRecord): string | undefined =>
  record.type === 'issuance' ? record.id : record.issuance;

// Native JSON.stringify writes numbers and strings as RFC 8785 does, so text that it gives back and whose members are in
// order is canonical. Members that look like integers lose their order when parsed: for them the long way.
function isCanonical(value: JsonObject, text: string): boolean {
  if (JSON.stringify(value) === text && isOrdered(value)) return true;
  try {
    return canonicalJson(value) === text;
  } catch {
    return false;
  }
}

/** Members in order at every depth, and no lone surrogate, which JSON.stringify would write as an escape. */
function isOrdered(value: Json): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isOrdered);
  let before = '';
  for (const member of Object.keys(value)) {
    if (member < before || !member.isWellFormed() || !isOrdered(value[member] as Json)) return false;
    before = member;
  }
  return true;
}

// JSON.parse suffices here: text that equals its own RFC 8785 form has no duplicate member, no odd number or escape.
function parse(text: string): JsonObject {
  if (!text.isWellFormed() || depthOf(text) > 8) throw new RecordError('not_json');
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value)) return value;
  } catch {}
  throw new RecordError('not_json');
}

/** An upper bound of the nesting: brackets inside strings count too, which no honest record comes near. */
function depthOf(text: string): number {
  let depth = 0;
  let most = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x7b || unit === 0x5b) most = Math.max(most, ++depth);
    else if (unit === 0x7d || unit === 0x5d) depth--;
  }
  return most;
}

type Check = (value: Json) => boolean;

const isText: Check = (value) => typeof value === 'string' && value.length > 0 && value.length <= 2048;
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isPositive: Check = (value) => isCount(value) && value !== 0;
const isObject: Check = (value) => isJsonObject(value);
const matches =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value);
const isDigest = matches(/^[A-Za-z0-9_-]{43}$/);
const isPolicyHash = matches(/^sha256:[A-Za-z0-9_-]{43}$/);
const isWord = matches(/^[a-z][a-z0-9_]{0,63}$/);
const isInstant: Check = (value) => typeof value === 'string' && parseInstant(value) !== undefined;
const isTime: Check = (value) => isInstant(value) && (value as string).length === 24;
const isOneOf =
  (...words: string[]): Check =>
  (value) =>
    words.includes(value as string);

const isWriter: Check = (value) => hasMembers(value, { name: isText, instance: isText, version: isText });
const isIdentity: Check = (value) => hasMembers(value, { issuer: isText, who: isDigest });
const isLease: Check = (value) =>
  hasMembers(
    value,
    { expiresAt: isInstant, ttl: isCount, revocable: (flag) => typeof flag === 'boolean' },
    { account: isText },
  );
const isCounts: Check = (value) => isJsonObject(value) && Object.values(value).every(isCount);

type Shape = Readonly<Record<string, Check>>;

function hasMembers(value: Json, needed: Shape, optional: Shape = {}): boolean {
  if (!isJsonObject(value)) return false;
  for (const member of Object.keys(needed)) if (!Object.hasOwn(value, member)) return false;
  for (const [member, held] of Object.entries(value)) {
    const shape = Object.hasOwn(needed, member) ? needed : optional;
    if (!Object.hasOwn(shape, member) || shape[member]?.(held) !== true) return false;
  }
  return true;
}

const everywhere: Shape = {
  v: (value) => value === 1,
  type: isText,
  id: isUlid,
  time: isTime,
  writer: isWriter,
};
const caused: Shape = { request: isText, trace: matches(/^[0-9a-f]{32}$/), identity: isIdentity };
const about: Shape = { credential: isText, kind: isText, store: isText, version: isText };
const decision: Shape = { grant: isText, policy: isPolicyHash, epoch: isCount };
const decided: Shape = { ...caused, ...about, ...decision };

/** Per type: the members it must have, and those it may have beside what every record has. */
const shapes: Readonly<Record<RecordType, readonly [needed: Shape, optional: Shape]>> = {
  intent: [
    { issuance: isUlid, credential: isText, kind: isText, epoch: isCount },
    { ...decided, once: isDigest, lease: isLease },
  ],
  issuance: [
    { credential: isText, kind: isText, epoch: isCount },
    {
      ...decided,
      once: isDigest,
      lease: isLease,
      fingerprint: matches(/^hmac-sha256:[A-Za-z0-9_-]{43}$/),
      fingerprintKey: matches(/^[A-Za-z0-9_-]{1,64}$/),
    },
  ],
  failure: [
    { issuance: isUlid, reason: isWord },
    { ...decided, count: isPositive },
  ],
  denial: [{ reason: isWord, count: isPositive }, decided],
  revocation: [{ issuance: isUlid }, { ...decided, reason: isWord, count: isPositive }],
  renewal: [{ issuance: isUlid, lease: isLease }, decided],
  session: [{ store: isText, audience: isText }, decided],
  lockdown: [
    { op: isOneOf('add', 'lift'), target: isText, epoch: isPositive },
    { ...caused, ...decision, until: isInstant, reason: isWord, count: isPositive },
  ],
  policy: [{ hash: isPolicyHash }, { ...caused, grants: isCount, credentials: isCount }],
  key: [{ purpose: isText, kid: isText, jwk: isObject, state: isOneOf('begin', 'end') }, caused],
  rotation: [{ credential: isText, step: isText }, decided],
  'store-write': [{ store: isText, version: isText }, decided],
  erasure: [{ count: isCount }, { ...caused, ...decision }],
  read: [
    { query: isDigest, items: isCount },
    { ...caused, ...decision },
  ],
  'sign-in': [{}, { ...caused, ...decision, reason: isWord }],
  summary: [
    { from: isInstant, to: isInstant, counts: isCounts },
    { ...caused, issuer: isText },
  ],
};

const merged = new Map(
  Object.entries(shapes).map(([type, [needed, optional]]) => [
    type,
    {
      needed: Object.keys({ ...everywhere, ...needed }),
      checks: new Map(Object.entries({ ...everywhere, ...optional, ...needed })),
    },
  ]),
);

function checkMembers(record: JsonObject): void {
  const shape = merged.get(record.type as string);
  if (shape === undefined) throw new RecordError('unknown_type');
  for (const member of shape.needed) if (!Object.hasOwn(record, member)) throw new RecordError(`${member}_missing`);
  for (const member of Object.keys(record)) {
    const check = shape.checks.get(member);
    // The name of an unknown member is the sender's word and goes into no reason.
    if (check === undefined) throw new RecordError('unknown_member');
    if (!check(record[member] as Json)) throw new RecordError(`${member}_malformed`);
  }
  if (record.issuance === record.id) throw new RecordError('issuance_malformed');
}
