import type { Holding, Room } from '../../log-store.ts';
import { issuanceOf, type LedgerRecord, type RecordType } from '../../records/record.ts';
import { listedTypes } from './keys.ts';

/** Lists that an issuance may enter and leave by a record of this type. */
const lists: Partial<Record<RecordType, number>> = { intent: 1, issuance: 2, failure: 2, revocation: 2, renewal: 2 };

/**
 * Items of a transaction. The rest of its 100 is for the head, the chunks of entries and their disclosures, subtrees, and
 * what the log itself has to say.
 */
export const room: Room = {
  most: 80,
  of(records, max) {
    const spent = new Set(records.map(({ once }) => once).filter((key) => key !== undefined));
    return records.reduce((sum, record) => sum + itemsOf(record, max), spent.size);
  },
};

function itemsOf(record: LedgerRecord, max: Holding | undefined): number {
  const issuance = issuanceOf(record);
  const about = issuance === undefined || issuance === record.id ? 0 : 1;
  const held = max === undefined || issuance === undefined ? 0 : 1 + (max.former?.length ?? 0);
  return 1 + about + (lists[record.type] ?? 0) + held + (listedTypes.has(record.type) ? 1 : 0);
}
