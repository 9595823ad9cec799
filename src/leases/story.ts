import type { Entry } from '../ledger/ledger.ts';
import { openDisclosure } from '../ledger/records/disclosure.ts';
import { type LedgerRecord, parseRecord } from '../ledger/records/record.ts';
import type { Identity } from '../lib/identity.ts';
import { parseInstant } from '../lib/time.ts';

/** One lease, as the ledger's records of its issuance tell it. */
export interface LeaseStory {
  readonly issuance: LedgerRecord;
  /** Of the issuance; null once erased. */
  readonly disclosure: string | null;
  /** When it was issued, milliseconds. */
  readonly began: number;
  /** When it ends, milliseconds: by its own record or the renewal for longest. */
  readonly expiresAt: number;
  /** Why it ended early, by its first revocation. */
  readonly ended?: string;
  /** Known to be gone at the target. */
  readonly done: boolean;
  /** Known to be there still, after it was tried. */
  readonly failed: boolean;
}

/** Undefined where nothing was issued under this id. */
export function readStory(id: string, story: readonly Entry[]): LeaseStory | undefined {
  const records = story.map(({ record, disclosure }) => ({ record: parseRecord(record), disclosure }));
  const found = records.find(({ record }) => record.type === 'issuance' && record.id === id);
  if (found === undefined) return undefined;
  const { record: issuance, disclosure } = found;
  const began = parseInstant(issuance.time) ?? 0;
  let expiresAt = endOf(issuance);
  let ended: string | undefined;
  let done = false;
  let failed = false;
  for (const { record } of records) {
    // As the ledger counts it: of two that were asked for at once the one for less takes nothing from the other.
    if (record.type === 'renewal') expiresAt = Math.max(expiresAt, endOf(record));
    if (record.type === 'revocation') {
      ended ??= record.reason ?? 'requested';
      done ||= record.reason === 'done' || record.reason === 'expired';
      failed ||= record.reason === 'unrevoked';
    }
    // What could not be signed was never handed over.
    if (record.type === 'failure') {
      ended ??= record.reason ?? 'failed';
      done = true;
    }
  }
  return { issuance, disclosure, began, expiresAt, done, failed, ...(ended !== undefined && { ended }) };
}

const endOf = ({ lease }: LedgerRecord): number => parseInstant(lease?.expiresAt ?? '') ?? 0;

/** Whether this identity is the one it was issued to. An erased disclosure knows nobody. */
export function isOwn({ issuance, disclosure }: LeaseStory, identity: Identity): boolean {
  if (disclosure === null || issuance.identity?.issuer !== identity.issuer) return false;
  const { iss, subject } = openDisclosure(disclosure);
  return iss === identity.iss && subject === identity.subject;
}
