import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { UpstreamError } from '../../lib/upstream.ts';

export interface VaultLease {
  readonly id: string;
  readonly seconds: number;
}

/** What Vault writes behind the path; it goes into bodies only, and into the record. */
export const isLeaseId = (text: string): boolean => text.length <= 1024 && /^[\w.-]+(\/[\w.-]+)+$/.test(text);

/** The lease of an answer. @throws UpstreamError no_lease for what Vault does not end by itself: that is for a store */
export function leaseIn({ lease_id: id, lease_duration: seconds }: JsonObject): VaultLease {
  if (typeof id !== 'string' || id === '' || typeof seconds !== 'number' || seconds <= 0) throw refuse('no_lease');
  if (!isLeaseId(id) || !Number.isSafeInteger(seconds)) throw refuse('unexpected_answer');
  return { id, seconds };
}

type Plain = string | number | boolean | string[];

/** The members of what was made, as they are; what is neither plain nor a list of texts is left out. @throws UpstreamError */
export function dataIn({ data }: JsonObject): Record<string, Plain> {
  const members = isJsonObject(data)
    ? Object.entries(data).filter((entry): entry is [string, Plain] => isPlain(entry[1]))
    : [];
  if (members.length === 0) throw refuse('unexpected_answer');
  for (const [, value] of members)
    if (typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER) throw refuse('number_too_large');
  return Object.fromEntries(members);
}

const isPlain = (value: Json): value is Plain =>
  typeof value === 'string' ||
  typeof value === 'number' ||
  typeof value === 'boolean' ||
  (Array.isArray(value) && value.every((item) => typeof item === 'string'));

export const refuse = (reason: string, step = 'make') => new UpstreamError('unreachable', { step, reason });
