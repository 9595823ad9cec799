import { type Common, type Lying, own as member } from '../records/reader.ts';
import type { LedgerRecord, RecordType } from '../records/record.ts';

/** Types of which only these members are looked at further on. All others are handed on whole. */
export const slim: ReadonlySet<RecordType> = new Set<RecordType>(['intent', 'issuance', 'denial', 'session']);

/** What verify goes on with of the records of a page: it says less than they, and keeps none of them alive. Threads hand it on. */
export interface PackedRecords {
  /** By entry: 0 where there is no record; n for one that is like the nth of `common`; -n for the nth of `rows`. */
  readonly places: Int16Array;
  /** Of each that is like others, what it has beside that: its id, and its expiry where it has one. */
  readonly own: Uint8Array;
  /** `Said` as JSON. */
  readonly text: string;
}

interface Said {
  readonly common: readonly Common[];
  readonly rows: readonly (LedgerRecord | Own)[];
}

/** The place of what it has in common, counted from 1, then its own: id, expiry, issuance, replay key and who asked. */
type Own = readonly [
  common: number,
  id: string,
  expiresAt: string | null,
  issuance: string | null,
  once: string | null,
  request: string | null,
];

/** Bytes of an id, and of an instant with milliseconds. */
const [idLength, instantLength] = [26, 24];
export const ownLength = idLength + instantLength;

/** Packs so many records. */
export function packing(many: number) {
  const places = new Int16Array(many);
  const own = new Uint8Array(many * ownLength);
  const common = new Map<Common, number>();
  const rows: (LedgerRecord | Own)[] = [];

  function placeOf(one: Common): number {
    const known = common.get(one);
    if (known !== undefined) return known;
    common.set(one, common.size + 1);
    return common.size;
  }

  function putRow(at: number, row: LedgerRecord | Own): void {
    places[at] = -rows.push(row);
  }

  return {
    whole: putRow,
    /** One of the slim types. */
    lying(at: number, bytes: Buffer, { common, froms, tos }: Lying): void {
      const [id, expiry] = [froms[member.id] as number, froms[member.expiresAt] as number];
      const plain = (froms[member.issuance] as number) < 0 && (froms[member.once] as number) < 0;
      if (plain && (expiry < 0 || (tos[member.expiresAt] as number) - expiry === instantLength)) {
        places[at] = placeOf(common);
        for (let unit = 0; unit < idLength; unit++) own[at * ownLength + unit] = bytes[id + unit] as number;
        for (let unit = 0; unit < instantLength && expiry >= 0; unit++)
          own[at * ownLength + idLength + unit] = bytes[expiry + unit] as number;
        return;
      }
      const said = (one: number) =>
        (froms[one] as number) < 0 ? null : bytes.toString('latin1', froms[one], tos[one]);
      const { expiresAt, issuance, once, request } = member;
      const name = said(member.id) as string;
      putRow(at, [placeOf(common), name, said(expiresAt), said(issuance), said(once), said(request)]);
    },
    done: (): PackedRecords => ({
      places,
      own,
      text: JSON.stringify({ common: [...common.keys()], rows } satisfies Said),
    }),
  };
}

/** Gives the records of a page again; of those it slimmed, only the members named above. */
export function unpacking({ places, own, text }: PackedRecords) {
  const { common, rows } = JSON.parse(text) as Said;
  const bytes = Buffer.from(own.buffer, own.byteOffset, own.byteLength);

  /** What the record of an entry has in common with others, where it has nothing else but an id and an expiry. */
  const commonAt = (at: number): Common | undefined => common[(places[at] as number) - 1];

  function recordAt(at: number): LedgerRecord | undefined {
    const like = commonAt(at);
    if (like !== undefined) {
      const from = at * ownLength;
      const id = bytes.toString('latin1', from, from + idLength);
      const expiresAt =
        bytes[from + idLength] === 0 ? null : bytes.toString('latin1', from + idLength, from + ownLength);
      return ownRecord(like, [0, id, expiresAt, null, null, null]);
    }
    const row = rows[-(places[at] as number) - 1];
    return Array.isArray(row) ? ownRecord(common[row[0] - 1] as Common, row as unknown as Own) : (row as LedgerRecord);
  }

  return { own, commonAt, recordAt };
}

function ownRecord(common: Common, [, id, expiresAt, issuance, once, request]: Own): LedgerRecord {
  const { v, type, writer, epoch, kind, policy } = common;
  const own = { issuance: issuance ?? undefined, once: once ?? undefined, request: request ?? undefined };
  const lease = expiresAt === null ? undefined : { expiresAt };
  return { v, type, writer, epoch, kind, policy, id, lease, ...own } as LedgerRecord;
}
