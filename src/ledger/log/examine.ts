import { Refusal } from '../../lib/refusal.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import type { AppendRequest } from '../ledger.ts';
import type { Holding } from '../log-store.ts';
import { openDisclosure, whoOf } from '../records/disclosure.ts';
import {
  type Disclosed,
  type LedgerRecord,
  maxRecordBytes,
  originOf,
  parseRecord,
  RecordError,
  type RecordText,
} from '../records/record.ts';
import { isPolicyHash, shapeFault } from '../records/shape.ts';
import type { WriterRights } from '../records/writer.ts';

/** Records of one append, and bytes of all their texts. */
export const maxEntries = 256;
export const maxRequestBytes = 1024 * 1024;
/** Names of a holder under older keys. */
const mostFormer = 16;

export interface Examined {
  readonly text: RecordText;
  readonly record: LedgerRecord;
  readonly disclosed?: Disclosed;
}

export const invalid = (reason: string, detail?: string): Refusal => new Refusal('invalid_request', reason, { detail });

/**
 * The checks of an append that need nothing but itself; `copied`: what it discloses may be erased where it comes from.
 * @throws Refusal invalid_request, too_large
 */
export function examine(request: AppendRequest, writer: WriterRights, copied = false): Examined[] {
  const { entries, epoch, policy, max } = request;
  if (entries.length === 0 || entries.length > maxEntries) throw invalid('records_number');
  if (!Number.isSafeInteger(epoch) || epoch < 0) throw invalid('epoch_malformed');
  if (policy !== undefined && !isPolicyHash(policy)) throw invalid('policy_malformed');
  if (max !== undefined && !isHolding(max)) throw invalid('max_malformed');
  if (bytesOf(request) > maxRequestBytes) throw new Refusal('too_large', 'entries_too_large');
  const examined = entries.map((text) => examineEntry(text, request, writer, copied));
  checkOnce(request, examined);
  if (new Set(examined.map(({ record }) => record.id)).size < examined.length) throw invalid('duplicate_id');
  return examined;
}

const isHolding = ({ holder, former = [], most }: Holding): boolean =>
  former.length <= mostFormer && [holder, ...former].every(isHolder) && Number.isSafeInteger(most) && most >= 1;

const isHolder = (text: unknown): boolean => typeof text === 'string' && /^[A-Za-z0-9_-]{43}$/.test(text);

/** About the bytes a request brings; what counts is the order of magnitude. */
export function bytesOf({ entries }: AppendRequest): number {
  return entries.reduce((sum, { record, disclosure }) => sum + record.length + (disclosure?.length ?? 0), 0);
}

const wrongWriter =
  "The record's writer.name, the broker.url of who wrote it, is not the writer that the token, or the role, says.";

function examineEntry(text: RecordText, request: AppendRequest, writer: WriterRights, copied: boolean): Examined {
  const origin = originOf(text);
  const record = origin === undefined ? read(text.record) : checked(origin.record, text.record);
  if (record.writer.name !== writer.name) throw invalid('wrong_writer', wrongWriter);
  if (!writer.types.has(record.type))
    throw invalid('type_not_allowed', `This writer may write no record of type ${record.type}.`);
  if (record.type !== 'lockdown' && record.epoch !== undefined && record.epoch !== request.epoch)
    throw invalid('epoch_differs');
  if (text.disclosure === null) {
    if (record.identity !== undefined && !copied) throw invalid('disclosure_missing');
    return { text, record };
  }
  if (origin === undefined && record.identity?.who !== whoOf(text.disclosure)) throw invalid('disclosure_differs');
  const disclosed = origin === undefined ? disclosedBy(text.disclosure) : (origin.disclosed ?? {});
  if (disclosed.mint !== undefined && record.type !== 'issuance' && record.type !== 'session')
    throw invalid('mint_in_other_type');
  return { text, record, disclosed };
}

function read(text: string): LedgerRecord {
  try {
    return parseRecord(text);
  } catch (error) {
    throw error instanceof RecordError ? invalid(error.reason, 'A record is not as this ledger takes it.') : error;
  }
}

/** Of what this process wrote itself, the text is known to be canonical and the digest right; not that it is a record. */
function checked(record: LedgerRecord, text: string): LedgerRecord {
  const fault = text.length > maxRecordBytes ? 'too_large' : shapeFault(record as unknown as JsonObject);
  if (fault !== undefined) throw invalid(fault);
  return record;
}

function disclosedBy(disclosure: string): Disclosed {
  try {
    return openDisclosure(disclosure);
  } catch {
    throw invalid('disclosure_malformed');
  }
}

// The replay table can be derived from the records alone, so a key that none of them carries is not taken.
function checkOnce({ once }: AppendRequest, examined: readonly Examined[]): void {
  if (once === undefined) return;
  const carried = examined.map(({ record }) => record.once).filter((key) => key !== undefined);
  if (carried.length === 0 || carried.some((key) => key !== once)) throw invalid('once_differs');
}
