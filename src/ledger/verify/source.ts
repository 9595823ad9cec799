import { isUtf8 } from 'node:buffer';
import type { Head, IssuanceState, StoredEntry } from '../log-store.ts';
import type { IndexRow } from '../query-index.ts';
import { sqlReads } from '../sql/reads.ts';
import { issuanceStateOf, numberColumns } from '../sql/rows.ts';
import { bytesIn, type Sql, type SqlRow, type SqlValue, textColumn, textIn } from '../sql/sql.ts';
import { storedKey } from '../sql/tables.ts';
import type { Finding } from './derive.ts';
import type { PageFacts, PageSpan } from './page.ts';
import { lacking, parted, type Rows, rowsOf } from './rows.ts';
import { isOtherType, sqlOddities } from './stored.ts';

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
  /** What else is wrong with what is stored, such as values that a look-up does not find; asked for when all else was read. */
  readonly oddities?: () => Promise<readonly Finding[]>;
}

/** The index that answers questions about a log, as it lies beside it. Rejects with StoreFault or IndexDamaged. */
export interface VerifyIndex {
  /** Entries at positions below this are in it; 0 where there is none. */
  seen(): Promise<number>;
  /** Positions of those rows that it has otherwise, or not at all, in order; or of one that stands for several like it. */
  others(rows: readonly IndexRow[]): Promise<readonly number[]>;
  /** What else is wrong with what is found by it; asked for when all its rows were compared. */
  oddities(): Promise<readonly string[]>;
}

/** A log as `verifyLog` reads it, in order and in pages. */
export interface VerifySource {
  /** The verifier key the log says it is under. */
  key(): Promise<string>;
  head(): Promise<Head>;
  entries(from: number, to: number): Promise<readonly StoredEntry[]>;
  /** The same, where they can be read together; some at a time. */
  rows?(from: number, to: number): AsyncIterable<Rows>;
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
  /** Absent where it cannot be compared from here. */
  readonly index?: VerifyIndex;
}

const page = 5_000;

/** Entries read as one text: a row of its own for each costs many times as much. */
const together = 512;

const otherType = isOtherType('id text, type text, issuance text?, writer text, record text, disclosure text?');

const entriesTogether = `SELECT count(*) AS many, CAST(group_concat(concat_ws(char(31), idx, tree,
  (issuance IS NULL) + 2 * (disclosure IS NULL) + ${lacking.type} * ${otherType}, id, type, coalesce(issuance, ''), writer,
  record, coalesce(disclosure, '')), char(31)) AS BLOB) AS entries,
  CAST(group_concat(CASE typeof(leaf) WHEN 'blob' THEN leaf END, '') AS BLOB) AS leaves
  FROM entries t WHERE idx >= ? AND idx < ?`;

const entriesOtherwise = `SELECT idx FROM entries t WHERE idx >= ? AND idx < ? AND ${otherType}`;

/** The tables of a log in SQLite, beside whoever writes them. */
export function sqlVerifySource(sql: Pick<Sql, 'read'>): VerifySource {
  const store = sqlReads(sql);
  const rows = (query: string, params: readonly SqlValue[]) => sql.read((all) => all(query, params));
  return {
    key: async () => storedKey(sql),
    head: store.head,
    entries: store.entries,
    async *rows(from, to) {
      for (let first = from; first < to; first += together) {
        const end = Math.min(to, first + together);
        const [row] = rows(entriesTogether, [first, end]);
        const { buffer, byteOffset, byteLength } = bytesIn(row?.entries);
        const bytes = Buffer.from(buffer, byteOffset, byteLength);
        // Bytes that are no text become other text, of each value by itself.
        const read = isUtf8(bytes) ? parted(bytes, bytesIn(row?.leaves), Number(row?.many)) : undefined;
        yield read ?? marked(rowsOf(await store.entries(first, end)), rows(entriesOtherwise, [first, end]));
      }
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
      rows(
        `SELECT ${numberColumns('idx')}, CASE typeof(hash) WHEN 'blob' THEN hash END AS hash FROM subtrees e
          WHERE base = ? AND level = ? AND e.idx >= ? AND e.idx < ?`,
        [base, level, from, to],
      ).map((row) => ({
        level,
        index: row.idx as number,
        hash: bytesIn(row.hash),
      })),
    tables: {
      spent: async (after) =>
        rows(
          `SELECT ${textColumn('key')} AS key, ${numberColumns('idx')} FROM spent e WHERE key > ? ORDER BY e.key LIMIT ?`,
          [after, page],
        ).map((row) => ({
          key: textIn(row.key) ?? '',
          index: row.idx as number,
        })),
      issuances: async (after) =>
        rows(
          `SELECT ${['id', 'writer', 'once'].map((name) => `${textColumn(`e.${name}`)} AS ${name}`).join()},
             ${numberColumns('intent', 'outcome', 'expires', 'ended')}, CASE typeof(since) WHEN 'integer' THEN since END AS since,
             CASE typeof(told) WHEN 'integer' THEN told END AS told FROM issuances e LEFT JOIN unrevoked u ON u.id = e.id
             WHERE e.id > ? ORDER BY e.id LIMIT ?`,
          [after, page],
        ).map(({ id, writer, once, ...row }) =>
          issuanceStateOf({ ...row, id: textIn(id) ?? '', writer: textIn(writer) ?? '', once: textIn(once) }),
        ),
      touched: async (issuance, from) =>
        rows('SELECT 1 FROM entries WHERE issuance = ? AND idx >= ? LIMIT 1', [issuance, from]).length > 0,
      seen: async (after) =>
        rows(
          `SELECT ${textColumn('name')} AS name, ${numberColumns('idx')} FROM seen e WHERE name > ? ORDER BY e.name LIMIT ?`,
          [after, page],
        ).map((row) => ({
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
      oddities: async () => sqlOddities(sql),
    },
  };
}

/** Of rows that were read one by one: which of them have a value of another type. */
function marked(read: Rows, otherwise: readonly SqlRow[]): Rows {
  const others = new Set(otherwise.map(({ idx }) => idx));
  for (let row = 0; row < read.many; row++)
    if (others.has(read.indices[row])) (read.lacks[row] as number) |= lacking.type;
  return read;
}
