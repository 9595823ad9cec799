import type { LedgerRecord, RecordType } from '../records/record.ts';

/** Types of which only these members are looked at further on. All others are handed on whole. */
const slim: ReadonlySet<RecordType> = new Set<RecordType>(['intent', 'issuance', 'denial', 'session']);

/** What such records have in common with many others. */
type Common = Pick<LedgerRecord, 'v' | 'type' | 'writer' | 'epoch' | 'kind' | 'policy'>;

/** The place of what it has in common, then its own: id, expiry, issuance, replay key and who asked. */
type Own = readonly [
  common: number,
  id: string,
  expiresAt?: string | null,
  issuance?: string | null,
  once?: string | null,
  request?: string | null,
];

/** What verify goes on with of the records of a page, as one text: it says less than they, and keeps none of them alive. */
export function packed(records: readonly (LedgerRecord | undefined)[]): string {
  const common: Common[] = [];
  let last: Common | undefined;
  const rows = records.map((record): LedgerRecord | Own | null => {
    if (record === undefined) return null;
    if (!slim.has(record.type)) return record;
    if (last === undefined || !isAlike(last, record)) {
      const { v, type, writer, epoch, kind, policy } = record;
      last = { v, type, writer, ...{ epoch, kind, policy } } as Common;
      common.push(last);
    }
    const { id, lease, issuance, once, request } = record;
    const [at, expiresAt] = [common.length - 1, lease?.expiresAt ?? null];
    return issuance === undefined && once === undefined
      ? [at, id, expiresAt]
      : [at, id, expiresAt, issuance ?? null, once ?? null, request ?? null];
  });
  return JSON.stringify({ common, rows });
}

const isAlike = (one: Common, other: Common): boolean =>
  one.type === other.type &&
  one.epoch === other.epoch &&
  one.kind === other.kind &&
  one.policy === other.policy &&
  one.writer.name === other.writer.name;

/** What `packed` kept of each record; of those it slimmed, only the members named above. */
export function unpacked(text: string): (LedgerRecord | undefined)[] {
  const { common, rows } = JSON.parse(text) as { common: Common[]; rows: (LedgerRecord | Own | null)[] };
  return rows.map((row) => {
    if (row === null) return undefined;
    if (!Array.isArray(row)) return row as LedgerRecord;
    const [at, id, expiresAt, issuance, once, request] = row as Own;
    const { v, type, writer, epoch, kind, policy } = common[at] as Common;
    const own = { issuance: issuance ?? undefined, once: once ?? undefined, request: request ?? undefined };
    const lease = expiresAt == null ? undefined : { expiresAt };
    return { v, type, writer, epoch, kind, policy, id, lease, ...own } as LedgerRecord;
  });
}
