import { canonicalJson } from '../../lib/canonical-json.ts';
import type { Mint } from '../../lib/mint.ts';
import type { RecordFacts } from '../../lib/record-facts.ts';
import type { recordTypes } from '../../lib/record-types.ts';
import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { openForms } from './form.ts';
import { shapeFault } from './shape.ts';

export type RecordType = (typeof recordTypes)[number];

/** The broker that writes a record; `name` is its `broker.url`. */
export type Writer = RecordFacts['writer'];

export interface LeaseFacts {
  readonly expiresAt: string;
  readonly ttl: number;
  readonly account?: string;
  readonly revocable: boolean;
}

/** One record; members that do not apply are absent. */
export interface LedgerRecord extends RecordFacts {
  readonly v: 1;
  readonly type: RecordType;
  readonly epoch?: number;
  readonly once?: string;
  readonly lease?: LeaseFacts;
  readonly fingerprint?: string;
  readonly fingerprintKey?: string;
  // The other types' own members.
  readonly purpose?: string;
  readonly kid?: string;
  readonly jwk?: JsonObject;
  readonly hash?: string;
  readonly grants?: number;
  readonly credentials?: number;
  readonly query?: string;
  readonly items?: number;
  readonly until?: string;
  readonly step?: string;
  /** Origin of the log that follows, or of the one before. */
  readonly log?: string;
  readonly size?: number;
  /** Base64url. */
  readonly root?: string;
  readonly kept?: number;
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

const origins = new WeakMap<RecordText, Origin>();

/** What a text was written from, in this process. */
export interface Origin {
  readonly record: LedgerRecord;
  readonly disclosed?: Disclosed;
}

/** Writes a record; the log of this same process need not read it again. */
export function written(record: LedgerRecord, disclosure: string | null = null, disclosed?: Disclosed): RecordText {
  const text: RecordText = { record: recordText(record), disclosure };
  origins.set(text, { record, ...(disclosed !== undefined && { disclosed }) });
  return text;
}

/** From what `written` made this very object; undefined for a text that came from anywhere else. */
export const originOf = (text: RecordText): Origin | undefined => origins.get(text);

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
  const known = forms.has(text);
  const value = known ? (JSON.parse(text) as JsonObject) : parse(text);
  if (!known) {
    if (!isCanonical(value, text)) throw new RecordError('not_canonical');
    forms.learn(value);
  }
  const fault = shapeFault(value);
  if (fault !== undefined) throw new RecordError(fault);
  return value as unknown as LedgerRecord;
}

const forms = openForms();

/** The issuance a record is about: its own id for an issuance. */
export const issuanceOf = (record: LedgerRecord): string | undefined =>
  record.type === 'issuance' ? record.id : record.issuance;

/** Under which name the log remembers that a writer's key has its record: nobody's key stands in for another's. */
export const keyName = (
  writer: string,
  { purpose, kid }: { readonly purpose?: string; readonly kid?: string },
): string => `key:${writer} ${purpose}:${kid}`;

/** That name, or the one for its end, for the record by which a key begins or ends. */
export const keyNameOf = (record: LedgerRecord): string | undefined => {
  if (record.type !== 'key') return undefined;
  const name = keyName(record.writer.name, record);
  return record.state === 'begin' ? name : endedName(name);
};

/** Under which name the log remembers that a key ended. */
export const endedName = (begun: string): string => `ended-${begun}`;

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
