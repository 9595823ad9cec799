import { isAscii } from 'node:buffer';
import type { Head, IssuanceState, StoredEntry } from '../log-store.ts';
import type { RecordType } from '../records/record.ts';
import { sqlReads } from '../sql/reads.ts';
import { issuanceStateOf } from '../sql/rows.ts';
import { bytesIn, type Sql, type SqlValue, textColumn, textIn } from '../sql/sql.ts';
import { storedKey } from '../sql/tables.ts';
import type { PageFacts, PageSpan } from './page.ts';

export interface StoredSubtree {
  readonly level: number;
  readonly index: number;
  readonly hash: Uint8Array;
}

export interface StoredCheckpoint {
  readonly size: number;
  readonly note: string;
}

/** What a log keeps beside its entries, derived from them; in pages, each beginning after `after`. */
export interface VerifyTables {
  spent(after: string): Promise<readonly { readonly key: string; readonly index: number }[]>;
  issuances(after: string): Promise<readonly IssuanceState[]>;
  /** Whether a record about this issuance came at or after an index. */
  touched(issuance: string, from: number): Promise<boolean>;
  seen(after: string): Promise<readonly { readonly name: string; readonly index: number }[]>;
  /** Indices of the lockdowns in force. */
  lockdowns(): Promise<readonly number[]>;
  /** Indices of entries that no head covers, the first few. */
  strays(): Promise<readonly number[]>;
}

export interface VerifiedEntry extends StoredEntry {
  /** What its leaf is the hash of (RFC 6962): a zero byte and the record, where they lie together as they were read. */
  readonly hashed?: Uint8Array;
}

/** A log as `verifyLog` reads it, in order and in pages. */
export interface VerifySource {
  /** The verifier key the log says it is under. */
  key(): Promise<string>;
  head(): Promise<Head>;
  entries(from: number, to: number): Promise<readonly VerifiedEntry[]>;
  /** Checkpoints with from < size <= to. */
  checkpoints(from: number, to: number): Promise<readonly StoredCheckpoint[]>;
  /** Stored roots of 256-wide subtrees of a tile level. */
  subtrees(base: number, level: number, from: number, to: number): Promise<readonly StoredSubtree[]>;
  /** Reads pages on threads of its own, several at a time; absent where only this thread can read. */
  readonly pages?: { readonly atOnce: number; read(span: PageSpan): Promise<PageFacts> };
  /** An archive: it has no log that still grows, and may lack the newest of those that were closed. */
  readonly closedOnly?: boolean;
  /** Absent where the source has only what can be published. */
  readonly tables?: VerifyTables;
}

const page = 5_000;

/** Entries read as one text: a row of its own for each costs many times as much. */
const together = 512;

const entriesTogether = `SELECT count(*) AS many, CAST(group_concat(concat_ws(char(31), idx, id, type, coalesce(issuance, ''),
  writer, record, coalesce(disclosure, ''), tree, (issuance IS NULL) + 2 * (disclosure IS NULL)), char(31)) AS BLOB) AS entries,
  CAST(group_concat(CASE typeof(leaf) WHEN 'blob' THEN leaf END, '') AS BLOB) AS leaves
  FROM entries WHERE idx >= ? AND idx < ?`;

const partsOfOne = 9;

/**
 * Undefined where somebody put a separator or another hash into a value: then there is more than that many entries have.
 * Writes a zero over the separator before each record.
 */
function parted(bytes: Buffer, leaves: Uint8Array, many: number): VerifiedEntry[] | undefined {
  if (many === 0) return [];
  // Of ASCII each unit of the text is a byte, at the same place.
  const ascii = isAscii(bytes);
  const text = ascii ? bytes.toString('latin1') : (textIn(bytes) as string);
  const parts = text.split('\u001f');
  if (parts.length !== many * partsOfOne || leaves.length !== many * 32) return undefined;
  const entries: VerifiedEntry[] = [];
  let place = 0;
  for (let row = 0; row < many; row++) {
    const at = row * partsOfOne;
    const part = (column: number) => parts[at + column] as string;
    let record = place;
    for (let column = 0; column < 5; column++) record += part(column).length + 1;
    place = record + part(5).length;
    const hashed = ascii && { hashed: bytes.subarray(record - 1, place) };
    for (let column = 6; column < partsOfOne; column++) place += part(column).length + 1;
    place += 1;
    if (ascii) bytes[record - 1] = 0;
    const nulls = Number(part(8));
    entries.push({
      index: Number(part(0)),
      id: part(1),
      type: part(2) as RecordType,
      issuance: nulls % 2 === 1 ? null : part(3),
      writer: part(4),
      record: part(5),
      disclosure: nulls >= 2 ? null : part(6),
      leaf: leaves.subarray(row * 32, row * 32 + 32),
      tree: Number(part(7)),
      ...hashed,
    });
  }
  return entries;
}

/** The tables of a log in SQLite, beside whoever writes them. */
export function sqlVerifySource(sql: Pick<Sql, 'read'>): VerifySource {
  const store = sqlReads(sql);
  const rows = (query: string, params: readonly SqlValue[]) => sql.read((all) => all(query, params));
  return {
    key: async () => storedKey(sql),
    head: store.head,
    async entries(from, to) {
      const found: VerifiedEntry[] = [];
      for (let first = from; first < to; first += together) {
        const end = Math.min(to, first + together);
        const [row] = rows(entriesTogether, [first, end]);
        const { buffer, byteOffset, byteLength } = bytesIn(row?.entries);
        const read = parted(Buffer.from(buffer, byteOffset, byteLength), bytesIn(row?.leaves), Number(row?.many));
        found.push(...(read ?? (await store.entries(first, end))));
      }
      return found;
    },
    checkpoints: async (from, to) =>
      rows(`SELECT size, ${textColumn('note')} AS note FROM checkpoints WHERE size > ? AND size <= ? ORDER BY size`, [
        from,
        to,
      ]).map((row) => ({
        size: row.size as number,
        note: textIn(row.note) ?? '',
      })),
    subtrees: async (base, level, from, to) =>
      rows('SELECT idx, hash FROM subtrees WHERE base = ? AND level = ? AND idx >= ? AND idx < ?', [
        base,
        level,
        from,
        to,
      ]).map((row) => ({
        level,
        index: row.idx as number,
        hash: bytesIn(row.hash),
      })),
    tables: {
      spent: async (after) =>
        rows(`SELECT ${textColumn('key')} AS key, idx FROM spent WHERE key > ? ORDER BY spent.key LIMIT ?`, [
          after,
          page,
        ]).map((row) => ({
          key: textIn(row.key) ?? '',
          index: row.idx as number,
        })),
      issuances: async (after) =>
        rows(
          `SELECT ${['id', 'writer', 'once'].map((name) => `${textColumn(`i.${name}`)} AS ${name}`).join()},
             intent, outcome, expires, ended, since, told FROM issuances i LEFT JOIN unrevoked u ON u.id = i.id
             WHERE i.id > ? ORDER BY i.id LIMIT ?`,
          [after, page],
        ).map(({ id, writer, once, ...row }) =>
          issuanceStateOf({ ...row, id: textIn(id) ?? '', writer: textIn(writer) ?? '', once: textIn(once) }),
        ),
      touched: async (issuance, from) =>
        rows('SELECT 1 FROM entries WHERE issuance = ? AND idx >= ? LIMIT 1', [issuance, from]).length > 0,
      seen: async (after) =>
        rows(`SELECT ${textColumn('name')} AS name, idx FROM seen WHERE name > ? ORDER BY seen.name LIMIT ?`, [
          after,
          page,
        ]).map((row) => ({
          name: textIn(row.name) ?? '',
          index: row.idx as number,
        })),
      // Head and entries in one statement, so that a server may go on writing.
      strays: async () =>
        rows(
          'SELECT e.idx FROM entries e JOIN head h WHERE h.one = 1 AND (e.idx < 0 OR e.idx >= h.base + h.size) LIMIT 100',
          [],
        ).map((row) => row.idx as number),
      lockdowns: async () => rows('SELECT idx FROM lockdowns ORDER BY idx', []).map((row) => row.idx as number),
    },
  };
}
