import { fromBase64Url, fromUtf8 } from '../../lib/bytes.ts';
import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import type { Entry } from '../ledger.ts';
import type { IndexFilter, IndexRow } from '../query-index.ts';
import type { RecordType } from '../records/record.ts';
import { checkOf } from '../records/shape.ts';
import { namePattern } from './name-pattern.ts';

/**
 * What an entry is found by. One that somebody spoilt in the ledger's storage has as much of it as can be read; `ledger
 * verify` is what finds it.
 */
export function rowOf({ index, record: text, disclosure }: Entry): IndexRow {
  const record = objectIn(text);
  const time = Date.parse(textIn(record.time) ?? '');
  const type = textIn(record.type) ?? 'unreadable';
  const { name, token } = disclosedIn(disclosure);
  const row: Record<keyof IndexRow, string | number | undefined> = {
    index,
    time: Number.isNaN(time) ? 0 : time,
    type,
    issuance: textIn(type === 'issuance' ? record.id : record.issuance),
    issuer: textIn(memberOf(record.identity, 'issuer') ?? record.issuer),
    credential: textIn(record.credential),
    kind: textIn(record.kind),
    store: textIn(record.store),
    grant: textIn(record.grant),
    reason: textIn(record.reason),
    account: textIn(memberOf(record.lease, 'account')),
    fingerprint: textIn(record.fingerprint),
    fingerprintKey: textIn(record.fingerprintKey),
    trace: textIn(record.trace),
    name: textIn(name),
    token: textIn(token),
  };
  return row as unknown as IndexRow;
}

/** Whether an entry's row is one that a filter asks for: what every index must agree with. */
export function fitter({ from, to, name, ...equal }: IndexFilter): (row: IndexRow) => boolean {
  const pattern = name === undefined ? undefined : namePattern(name);
  const members = Object.entries(equal).filter(([, value]) => value !== undefined) as [keyof IndexRow, string][];
  return (row) =>
    members.every(([member, value]) => row[member] === value) &&
    (from === undefined || row.time >= from) &&
    (to === undefined || row.time < to) &&
    (pattern === undefined || (row.name !== undefined && pattern.matches(row.name)));
}

/** Members of a row that stand in the record under the same name. */
const ownMembers = [
  'credential',
  'kind',
  'store',
  'grant',
  'reason',
  'fingerprint',
  'fingerprintKey',
  'trace',
] as const;

/** Whether a record of the type asked for may have all that is asked: no index need be read for the reason of an issuance. */
export function canFit(filter: IndexFilter): boolean {
  const type = filter.type as RecordType | undefined;
  if (type === undefined || checkOf(type, 'id') === undefined) return true;
  return ownMembers.every((member) => filter[member] === undefined || checkOf(type, member) !== undefined);
}

/** The members of a disclosure, without its salt; none of one that cannot be read. */
export function disclosedIn(disclosure: string | null): JsonObject {
  const bytes = disclosure === null ? undefined : fromBase64Url(disclosure);
  try {
    const value = bytes === undefined ? undefined : (JSON.parse(fromUtf8(bytes)) as Json);
    return Array.isArray(value) && isJsonObject(value[1]) ? value[1] : {};
  } catch {
    return {};
  }
}

function objectIn(text: string): JsonObject {
  try {
    const value = JSON.parse(text) as Json;
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

const textIn = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

const memberOf = (value: Json | undefined, member: string): Json | undefined =>
  isJsonObject(value) ? value[member] : undefined;
