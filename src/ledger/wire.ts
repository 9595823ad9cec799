import { isProblemCode, type ProblemCode, Refusal } from '../lib/refusal.ts';
import { isJsonObject, type Json, type JsonObject, parseStrictJsonObject } from '../lib/strict-json.ts';
import type { Followed } from './following.ts';
import type { AppendRequest, AppendResult, Entry, Receipt } from './ledger.ts';
import type { Holding } from './log-store.ts';
import type { RecordText } from './records/record.ts';
import { unavailable } from './unavailable.ts';

/** Limits of `POST /v1/log/entries`: bytes of the body, records in it, characters of one disclosure. */
export const wireLimits = { requestBytes: 1024 * 1024, records: 256, disclosureChars: 64 * 1024 } as const;

/** Bytes of any answer of the ledger: 256 receipts and signed tokens stay well below it. */
export const wireAnswerBytes = 8 * 1024 * 1024;

/** The same of `GET /v1/log/follow`: a commit comes whole, and one that a restore made may be of 400 entries, however large. */
export const followAnswerBytes = 128 * 1024 * 1024;

/** The body of `POST /v1/log/entries`. `policyCounts` is not part of it. */
export function encodeAppendRequest(request: AppendRequest): string {
  return JSON.stringify({
    records: request.entries.map((entry) => entry.record),
    disclosures: request.entries.map((entry) => entry.disclosure),
    epoch: request.epoch,
    policy: request.policy,
    once: request.once,
    max: request.max,
  });
}

const requestMembers: ReadonlySet<string> = new Set(['records', 'disclosures', 'epoch', 'policy', 'once', 'max']);

/**
 * Reads the body of `POST /v1/log/entries`. What the records hold is the log's to check.
 *
 * @throws Refusal too_large (body), invalid_request (anything else)
 */
export function decodeAppendRequest(body: Uint8Array): AppendRequest {
  if (body.byteLength > wireLimits.requestBytes) throw new Refusal('too_large', 'entries_too_large');
  const value = parsed(body);
  for (const member of Object.keys(value)) if (!requestMembers.has(member)) throw malformed('unknown_member');
  const { records, disclosures, epoch, policy, once, max } = value;
  if (!Array.isArray(records) || !Array.isArray(disclosures)) throw malformed('records_not_a_list');
  if (records.length === 0 || records.length > wireLimits.records) throw malformed('records_number');
  if (records.length !== disclosures.length) throw malformed('disclosures_not_aligned');
  if (!isCount(epoch)) throw malformed('epoch');
  if (!isWord(policy)) throw malformed('policy');
  if (once !== undefined && !isWord(once)) throw malformed('once');
  const entries = records.map((record, at) => entryText(record, disclosures[at] as Json));
  return {
    entries,
    epoch,
    policy,
    ...(once !== undefined && { once }),
    ...(max !== undefined && { max: holding(max) }),
  };
}

/** What its members hold is the log's to check. */
function holding(max: Json): Holding {
  if (!isJsonObject(max)) throw malformed('max');
  const { holder, former, most, ...rest } = max;
  if (!isWord(holder) || !isCount(most) || Object.keys(rest).length > 0) throw malformed('max');
  if (former === undefined) return { holder, most };
  if (!Array.isArray(former) || !former.every(isWord)) throw malformed('max');
  return { holder, former, most };
}

function parsed(body: Uint8Array): JsonObject {
  try {
    return parseStrictJsonObject(body, 3);
  } catch (cause) {
    throw malformed('not_json', cause);
  }
}

function entryText(record: Json, disclosure: Json): RecordText {
  if (typeof record !== 'string') throw malformed('record_not_text');
  if (disclosure === null) return { record, disclosure };
  if (typeof disclosure !== 'string') throw malformed('disclosure_not_text');
  if (disclosure.length > wireLimits.disclosureChars) throw malformed('disclosure_too_large');
  return { record, disclosure };
}

const malformed = (reason: string, cause?: unknown) =>
  new Refusal('invalid_request', reason, { detail: 'The body is not an append as this route takes it.', cause });

/** A result without what the writer sent itself: records and disclosures. */
export interface TrimmedResult {
  readonly receipts: readonly { readonly log: string; readonly index: number; readonly proof: string }[];
  readonly minted: readonly (string | null)[];
}

export const trimResult = ({ receipts, minted }: AppendResult): TrimmedResult => ({
  receipts: receipts.map(({ log, index, proof }) => ({ log, index, proof })),
  minted,
});

/** The 200 of `POST /v1/log/entries`. */
export const encodeAppendResult = (result: AppendResult): string => JSON.stringify(trimResult(result));

/** Reads that 200 for the entries that were sent. @throws Refusal ledger_unavailable */
export const decodeAppendResult = (body: Uint8Array, sent: readonly RecordText[]): AppendResult =>
  untrimResult(answer(body), sent);

/**
 * The result for the entries that were sent, so that its receipts speak of exactly those bytes. They are well-formed
 * and aligned, not verified.
 *
 * @throws Refusal ledger_unavailable
 */
export function untrimResult(value: unknown, sent: readonly RecordText[]): AppendResult {
  if (!isJsonObject(value)) throw garbage();
  const { receipts, minted } = value;
  if (!Array.isArray(receipts) || receipts.length !== sent.length) throw garbage();
  if (!Array.isArray(minted) || minted.length !== sent.length || !minted.every(isTextOrNull)) throw garbage();
  return { receipts: receipts.map((receipt, at) => receiptOf(receipt, sent[at] as RecordText)), minted };
}

function receiptOf(value: Json, { record, disclosure }: RecordText): Receipt {
  if (!isJsonObject(value)) throw garbage();
  const { log, index, proof } = value;
  if (typeof log !== 'string' || !isCount(index) || typeof proof !== 'string') throw garbage();
  return { log, index, record, ...(disclosure !== null && { disclosure }), proof };
}

/** The 200 of `GET /v1/log/issuances/{id}` and `?state=`: records as canonical text. */
export const encodeEntries = (entries: readonly Entry[]): string =>
  JSON.stringify({ items: entries.map(({ index, record, disclosure }) => ({ index, record, disclosure })) });

/** The 200 of `GET /v1/log/follow`. */
export const encodeFollowed = ({ copied, checkpoint, pledge }: Followed): string =>
  JSON.stringify({ copied: copied ?? null, checkpoint, pledge });

/** The 200 of `GET /v1/log/succession`. */
export const encodeSuccession = (items: readonly Receipt[]): string =>
  JSON.stringify({ items: items.map(({ log, index, record, proof }) => ({ log, index, record, proof })) });

/** Reads that 200; its receipts are well-formed, not verified. @throws Refusal ledger_unavailable */
export function decodeSuccession(body: Uint8Array): Receipt[] {
  const { items } = answer(body);
  if (!Array.isArray(items)) throw garbage();
  return items.map((item) => {
    const record = isJsonObject(item) ? item.record : undefined;
    if (typeof record !== 'string') throw garbage();
    return receiptOf(item as Json, { record, disclosure: null });
  });
}

/** Reads that 200. @throws Refusal ledger_unavailable */
export function decodeEntries(body: Uint8Array): Entry[] {
  const { items } = answer(body);
  if (!Array.isArray(items)) throw garbage();
  return items.map((item) => {
    if (!isJsonObject(item)) throw garbage();
    const { index, record, disclosure } = item;
    if (!isCount(index) || typeof record !== 'string' || !isTextOrNull(disclosure)) throw garbage();
    return { index, record, disclosure };
  });
}

/**
 * What a problem of the ledger means to its writer. Only a problem document whose code belongs to its status is the
 * ledger's word; a page of whatever stands in front of it is not, and leaves the outcome unknown.
 */
export function refusalOf(status: number, body: Uint8Array): Refusal {
  const problem = problemOf(body);
  const code = problem.code;
  if (status === 409 && code === 'stale') return staleOf(problem);
  if (status === 409 && code === 'replayed' && isCount(problem.index)) {
    return new Refusal('replayed', 'replayed', { members: { index: problem.index } });
  }
  if (status === 400 && code === 'invalid_request') return new Refusal('invalid_request', 'refused_by_ledger');
  if (status === 403 && code === 'denied' && isCount(problem.max)) return new Refusal('denied', 'max');
  if (status === 403 && code === 'denied') return new Refusal('denied', 'denied_by_ledger');
  return unavailable(`status_${status}`);
}

/** The stable word of a problem, whatever its status; undefined of anything else. */
export function problemCodeOf(body: Uint8Array): ProblemCode | undefined {
  const { code } = problemOf(body);
  return isProblemCode(code) ? code : undefined;
}

function staleOf({ epoch, lockdowns }: JsonObject): Refusal {
  if (!isCount(epoch) || !Array.isArray(lockdowns) || !lockdowns.every(isLockdown)) return garbage();
  return new Refusal('stale', 'stale', { members: { epoch, lockdowns } });
}

function isLockdown(value: Json): boolean {
  if (!isJsonObject(value) || typeof value.id !== 'string' || !isCount(value.epoch)) return false;
  if (value.until !== undefined && typeof value.until !== 'string') return false;
  return isJsonObject(value.match) && Object.values(value.match).every((member) => typeof member === 'string');
}

function problemOf(body: Uint8Array): JsonObject {
  try {
    return parseStrictJsonObject(body);
  } catch {
    return {};
  }
}

export function answer(body: Uint8Array): JsonObject {
  try {
    return parseStrictJsonObject(body, 4);
  } catch (cause) {
    throw unavailable('garbage', cause);
  }
}

export const garbage = () => unavailable('garbage');

export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
export const isTextOrNull = (value: unknown): value is string | null => value === null || typeof value === 'string';
const isWord = (value: unknown): value is string => typeof value === 'string' && /^[\x21-\x7e]{1,128}$/.test(value);
