import { concat, equalBytes } from '../../../lib/bytes.ts';
import type { Deadline } from '../../../lib/deadline.ts';
import { isJsonObject } from '../../../lib/strict-json.ts';
import { endOf } from '../../log/draft.ts';
import {
  type Head,
  type IssuanceState,
  type LogStore,
  type PendingState,
  type StoredEntry,
  StoreFault,
} from '../../log-store.ts';
import { issuanceOf, type LedgerRecord, type RecordType } from '../../records/record.ts';
import { leafHash } from '../../tree/merkle.ts';
import { tileWidth } from '../../tree/tile.ts';
import { type LogKeys, listedTypes, padded, readPlace } from './keys.ts';
import { bytesOf, type Key, listOf, numberOf, numberOrNull, type Row, textOf, textsOf, type Value } from './row.ts';
import { inParts, type Table } from './table.ts';

/** Tiles read at once. */
const tilesAtOnce = 8;
/** Pages of expired leases that are put into the order of the log; those that expired later come once these are ended. */
const pagesAtOnce = 100;
/** Beyond this, the head is asked how many there are. */
const mostEntries = 8_192;

export type Reads = Pick<
  LogStore,
  'head' | 'entries' | 'hashes' | 'list' | 'keys' | 'issuance' | 'pending' | 'text'
> & {
  headRow(deadline?: Deadline): Promise<Row>;
  checkpoint(end: number, deadline?: Deadline): Promise<string | undefined>;
  /** The entries at these places, by position; rejects where one is missing. */
  placed(places: readonly string[], deadline?: Deadline): Promise<ReadonlyMap<number, StoredEntry>>;
  /** The chunks that hold any of positions [from, to), in order. */
  chunks(from: number, to: number): Promise<readonly Row[]>;
};

export function readLog(table: Table, keys: LogKeys): Reads {
  async function headRow(deadline?: Deadline): Promise<Row> {
    const row = await table.get(keys.head, deadline);
    if (row === undefined) throw new StoreFault('head_missing');
    return row;
  }

  /** What names an entry may be visible a moment before the entry is: both are of one transaction. */
  async function placed(places: readonly string[], deadline?: Deadline): Promise<ReadonlyMap<number, StoredEntry>> {
    for (let attempt = 1; ; attempt++) {
      const found = await there(places, deadline);
      if (found.size === new Set(places).size) return found;
      if (attempt === 3) throw new StoreFault('entry_missing');
    }
  }

  async function there(places: readonly string[], deadline?: Deadline): Promise<Map<number, StoredEntry>> {
    const wanted = places.map(readPlace);
    const firsts = [...new Set(wanted.map(({ first }) => first))];
    const rows = await table.getAll(
      firsts.flatMap((first) => [keys.chunk(first), keys.disclosed(first)]),
      deadline,
    );
    const byKey = new Map(rows.map((row) => [keyText(row), row]));
    const found = new Map<number, StoredEntry>();
    for (const { position, first } of wanted) {
      const chunk = byKey.get(keyText(keys.chunk(first)));
      const entry =
        chunk === undefined ? undefined : entriesOf(chunk, byKey.get(keyText(keys.disclosed(first))))[position - first];
      if (entry !== undefined) found.set(position, entry);
    }
    return found;
  }

  const sorted = async (places: readonly string[]): Promise<StoredEntry[]> =>
    [...(await placed(places)).values()].sort((one, other) => one.index - other.index);

  /** Of one tile: the chunk that `from` lies in, and those that follow. */
  async function inTile(pk: string, from: number, to: number): Promise<readonly Row[]> {
    const ahead = from % tileWidth === 0 ? [] : table.query(pk, { to: padded(from), newestFirst: true, limit: 1 });
    const after = from % tileWidth === 0 ? from : from + 1;
    const rest = after < to ? table.query(pk, { from: padded(after), to: padded(to - 1) }) : [];
    return (await Promise.all([ahead, rest])).flat();
  }

  async function inTiles(from: number, to: number, partition: (tile: number) => string): Promise<readonly Row[]> {
    if (to <= from) return [];
    const [low, high] = [keys.tile(from), keys.tile(to - 1)];
    const tiles = Array.from({ length: high - low + 1 }, (_, more) => low + more);
    const parts = await inParts(
      tiles,
      1,
      ([tile = 0]) => inTile(partition(tile), Math.max(from, tile * tileWidth), Math.min(to, (tile + 1) * tileWidth)),
      tilesAtOnce,
    );
    return parts.flat();
  }

  const chunks = (from: number, to: number) => inTiles(from, to, keys.entries);

  async function entries(from: number, to: number): Promise<StoredEntry[]> {
    // A caller may ask for all there is.
    const end = to - from <= mostEntries ? to : Math.min(to, endOf(headOf(await headRow())));
    const [found, disclosed] = await Promise.all([chunks(from, end), inTiles(from, end, keys.disclosures)]);
    const disclosures = new Map(disclosed.map((row) => [row.sk, row]));
    return found
      .flatMap((chunk) => entriesOf(chunk, disclosures.get(chunk.sk)))
      .filter(({ index }) => index >= from && index < to);
  }

  async function newest(type: RecordType | undefined, before: number, limit: number): Promise<StoredEntry[]> {
    if (type !== undefined && listedTypes.has(type)) {
      const range = { to: padded(before - 1), newestFirst: true, limit };
      const rows = before < 1 ? [] : await table.query(keys.type(type), range);
      return (await sorted(rows.map(({ p }) => textOf(p)))).reverse();
    }
    const found: StoredEntry[] = [];
    for (let to = Math.min(before, endOf(headOf(await headRow()))); to > 0 && found.length < limit; ) {
      const from = keys.tile(to - 1) * tileWidth;
      const some = (await entries(from, to)).reverse();
      // A head may claim any size; where it is true, no tile is empty.
      if (some.length === 0) break;
      found.push(...some.filter((entry) => type === undefined || entry.type === type).slice(0, limit - found.length));
      to = from;
    }
    return found;
  }

  async function pending(
    state: PendingState,
    { writer, before, after, limit }: Parameters<LogStore['pending']>[1],
  ): Promise<readonly StoredEntry[]> {
    const only = writer === undefined ? {} : { only: ['w', writer] as const };
    if (state !== 'expired') {
      const range = { ...only, from: padded(after + 1), limit };
      const rows = await table.query(state === 'open' ? keys.open : keys.owed, range);
      return sorted(rows.map(({ p }) => textOf(p)));
    }
    // In the order in which they expire. After a day without a sweep there may be more than can be read in time.
    const rows = await table.query(keys.alive, { ...only, to: padded(before), limit: limit * pagesAtOnce });
    const places = rows.map(({ p }) => textOf(p)).filter((place) => readPlace(place).position > after);
    places.sort((one, other) => readPlace(one).position - readPlace(other).position);
    return sorted(places.slice(0, limit));
  }

  return {
    headRow,
    placed,
    chunks,
    entries,
    pending,
    head: async () => headOf(await headRow()),
    async hashes(base, tileLevel, from, to) {
      const found =
        tileLevel === 0
          ? (await chunks(base + from, base + to)).flatMap((chunk) => leavesOf(chunk, base + from, base + to))
          : (await table.query(keys.tree(base, tileLevel), { from: padded(from), to: padded(to - 1) })).map(({ h }) =>
              bytesOf(h),
            );
      if (found.length !== to - from) throw new StoreFault('hashes_missing');
      return found;
    },
    async checkpoint(end, deadline) {
      if (end < 1) return undefined;
      const range = { to: padded(end - 1), newestFirst: true, limit: 1 };
      const [chunk] = await table.query(keys.entries(keys.tile(end - 1)), range, deadline);
      return chunk?.t === end && chunk.c !== undefined ? textOf(chunk.c) : undefined;
    },
    list: ({ type, before, limit }) => newest(type, before, limit),
    async keys(writer, from, limit) {
      const rows = await table.query(keys.type('key'), { from: padded(from), only: ['w', writer], limit });
      return sorted(rows.map(({ p }) => textOf(p)));
    },
    async issuance(id) {
      const row = await table.get(keys.id(id));
      return row === undefined ? [] : (await sorted(placesOf(row))).filter(({ issuance }) => issuance === id);
    },
    async text(name) {
      const row = await table.get(keys.text(name));
      return row === undefined ? undefined : textOf(row.x);
    },
  };
}

export const keyText = ({ pk, sk }: Key): string => `${pk} ${sk}`;

/** The head from its item. */
export function headOf(row: Row): Head {
  const compact = bytesOf(row.range);
  return {
    generation: numberOf(row.g),
    base: numberOf(row.b),
    size: numberOf(row.n),
    ended: listOf(row.ended).map(endedOf),
    range: Array.from({ length: compact.length / 32 }, (_, at) => compact.subarray(at * 32, at * 32 + 32)),
    root: bytesOf(row.root),
    epoch: numberOf(row.e),
    checkpoint: textOf(row.c),
  };
}

function endedOf(value: Value) {
  const { g, b, n } = value as Row;
  return { generation: numberOf(g), base: numberOf(b), size: numberOf(n) };
}

/** What of a head's item changes with the head; the verifier key and the schema's number stay. */
export const headValues = ({ generation, base, ended, size, range, root, epoch, checkpoint }: Head) => ({
  g: generation,
  b: base,
  n: size,
  ended: ended.map((log) => ({ g: log.generation, b: log.base, n: log.size })),
  range: concat(...range),
  root,
  e: epoch,
  c: checkpoint,
});

export const isHead = (row: Row, { base, size, root }: Pick<Head, 'base' | 'size' | 'root'>): boolean =>
  row.b === base && row.n === size && equalBytes(bytesOf(row.root), root);

/** The entries of a chunk. What is derived from a record is not stored beside it. */
export function entriesOf(chunk: Row, disclosures: Row | undefined): StoredEntry[] {
  const first = Number(chunk.sk);
  const tree = numberOf(chunk.t);
  return textsOf(chunk.r).map((record, more) => {
    const index = first + more;
    const disclosure = disclosures?.[`d${index}`];
    return {
      ...columnsOf(record),
      index,
      record,
      disclosure: disclosure === undefined ? null : textOf(disclosure),
      leaf: leafHash(record),
      tree,
    };
  });
}

function leavesOf(chunk: Row, from: number, to: number): Uint8Array[] {
  const first = Number(chunk.sk);
  const records = textsOf(chunk.r);
  return records.slice(Math.max(0, from - first), Math.max(0, to - first)).map((record) => leafHash(record));
}

/** What somebody else put there and is no record has no type and no id; its hash fits nothing. */
function columnsOf(text: string): Pick<StoredEntry, 'id' | 'type' | 'issuance' | 'writer'> {
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value as never)) {
      const record = value as unknown as LedgerRecord;
      return {
        id: String(record.id),
        type: record.type,
        issuance: issuanceOf(record) ?? null,
        writer: String(record.writer?.name),
      };
    }
  } catch {}
  return { id: '', type: '' as RecordType, issuance: null, writer: '' };
}

/** Where all records of or about an id are. */
export const placesOf = ({ p, s }: Row): readonly string[] => [...(p === undefined ? [] : [textOf(p)]), ...textsOf(s)];

/** What is known of an issuance, from its item; undefined where that is of a record alone. */
export function stateOf(row: Row): IssuanceState | undefined {
  if (row.w === undefined) return undefined;
  const since = numberOrNull(row.d);
  return {
    id: row.sk,
    writer: textOf(row.w),
    intent: numberOrNull(row.i),
    outcome: numberOrNull(row.o),
    once: row.k === undefined ? null : textOf(row.k),
    expiresAt: numberOrNull(row.x),
    ended: numberOrNull(row.z),
    owed: since === null ? null : { since, told: numberOrNull(row.told) },
  };
}
