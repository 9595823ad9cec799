import { concat, toHex } from '../lib/bytes.ts';
import type { Deadline } from '../lib/deadline.ts';
import {
  type Change,
  type Found,
  type Head,
  HeadMoved,
  type Held,
  holdingKey,
  type IssuanceState,
  type LogStore,
  type PendingState,
  type StoredEntry,
  StoreFault,
  type Wanted,
} from './log-store.ts';
import { emptyRoot } from './merkle.ts';
import type { RecordType } from './record.ts';

export type SqlValue = string | number | Uint8Array | null;
export type SqlRow = Readonly<Record<string, unknown>>;

/** One statement, run once per row of parameters. `changes`: how many rows each run must change. */
export interface SqlStatement {
  readonly sql: string;
  readonly rows: readonly (readonly SqlValue[])[];
  readonly changes?: number;
}

/** A column of a table, in the rows that have these keys. */
export interface Column {
  readonly table: string;
  readonly column: string;
  readonly key: string;
  readonly keys: readonly SqlValue[];
  /** Where SQLite cannot be told to overwrite what it moves: these do so with the copies it left of these rows. */
  readonly copies?: readonly SqlStatement[];
}

/** The statement that puts nothing there. */
export const blankStatement = ({ table, column, key, keys }: Column): SqlStatement => ({
  sql: `UPDATE ${table} SET ${column} = NULL WHERE ${key} = ?`,
  rows: keys.map((one) => [one]),
});

/** An SQLite (3.45 or a Durable Object's) as one log uses it. Blobs come back as ArrayBuffer or Uint8Array. */
export interface Sql {
  /** Runs reads over one snapshot. @throws StoreFault */
  read<T>(work: (all: (sql: string, params: readonly SqlValue[]) => readonly SqlRow[]) => T): T;
  /** One durable transaction; `conflict` when a run's changes differ: nothing was written. Rejects with StoreFault. */
  write(statements: readonly SqlStatement[], deadline: Deadline): Promise<'done' | 'conflict'>;
  /**
   * Puts nothing into this column of these rows, durably, and overwrites what was there. No rows: sees to it that what was
   * overwritten before is in no file any more. Rejects with StoreFault.
   */
  blank(column: Column, deadline: Deadline): Promise<void>;
  /** Takes the answer of a `write` that has come and that the event loop has not got to yet. */
  poll?(): void;
  reopen(deadline: Deadline): Promise<void>;
  close(): Promise<void>;
}

/** `base`: where the log begins whose subtree it is. */
const subtreesTable = `CREATE TABLE subtrees (base INTEGER, level INTEGER, idx INTEGER, hash BLOB NOT NULL,
  PRIMARY KEY (base, level, idx)) WITHOUT ROWID`;

const laterTables: readonly string[] = [
  'CREATE TABLE ended (generation INTEGER PRIMARY KEY, base INTEGER NOT NULL, size INTEGER NOT NULL)',
  'CREATE TABLE texts (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID',
];

const leaseTables: readonly string[] = [
  'CREATE TABLE unrevoked (id TEXT PRIMARY KEY, since INTEGER NOT NULL, told INTEGER) WITHOUT ROWID',
  `CREATE TABLE held (id TEXT PRIMARY KEY, credential TEXT NOT NULL, holder TEXT NOT NULL, expires INTEGER NOT NULL)
     WITHOUT ROWID`,
  'CREATE INDEX held_by ON held (holder, credential, expires)',
  'CREATE INDEX held_until ON held (expires)',
];

/** The tables of a log, to be created in one transaction. Read by verify too. */
export const logSchema: readonly string[] = [
  `CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), vkey TEXT NOT NULL, size INTEGER NOT NULL,
     compact BLOB NOT NULL, root BLOB NOT NULL, epoch INTEGER NOT NULL, checkpoint TEXT NOT NULL,
     generation INTEGER NOT NULL DEFAULT 1, base INTEGER NOT NULL DEFAULT 0)`,
  `CREATE TABLE entries (idx INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, issuance TEXT,
     writer TEXT NOT NULL, record TEXT NOT NULL, disclosure TEXT, leaf BLOB NOT NULL, tree INTEGER NOT NULL)`,
  'CREATE INDEX entries_by_type ON entries (type, idx)',
  'CREATE INDEX entries_by_issuance ON entries (issuance, idx) WHERE issuance IS NOT NULL',
  subtreesTable,
  'CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL)',
  'CREATE TABLE spent (key TEXT PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE TABLE seen (name TEXT PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE TABLE lockdowns (idx INTEGER PRIMARY KEY)',
  `CREATE TABLE issuances (id TEXT PRIMARY KEY, writer TEXT NOT NULL, intent INTEGER, outcome INTEGER, once TEXT,
     expires INTEGER, ended INTEGER) WITHOUT ROWID`,
  'CREATE INDEX issuances_open ON issuances (intent) WHERE outcome IS NULL',
  'CREATE INDEX issuances_expiring ON issuances (expires) WHERE intent IS NOT NULL AND outcome IS NOT NULL AND ended IS NULL',
  ...leaseTables,
  ...laterTables,
];

/** From the tables of a log that has neither `leaseTables` nor `laterTables`. */
export const logUpgrade1: readonly string[] = [
  ...leaseTables,
  `INSERT INTO unrevoked SELECT i.id, i.ended, NULL FROM issuances i JOIN entries e ON e.idx = i.ended
     WHERE i.intent IS NOT NULL AND (e.type = 'revocation' OR json_extract(e.record, '$.reason') = 'abandoned')`,
];

/** From the tables of a log that lacks `laterTables` only. */
export const logUpgrade2: readonly string[] = [
  'ALTER TABLE head ADD COLUMN generation INTEGER NOT NULL DEFAULT 1',
  'ALTER TABLE head ADD COLUMN base INTEGER NOT NULL DEFAULT 0',
  'ALTER TABLE subtrees RENAME TO former_subtrees',
  subtreesTable,
  'INSERT INTO subtrees SELECT 0, level, idx, hash FROM former_subtrees',
  'DROP TABLE former_subtrees',
  ...laterTables,
];

/** The head row of a log without entries. */
export const firstHead = (vkey: string): SqlStatement => ({
  sql: "INSERT INTO head VALUES (1, ?, 0, x'', ?, 0, '', 1, 0)",
  rows: [[vkey, emptyRoot]],
});

/** The verifier key a log's tables were made for. */
export const storedKey = (sql: Pick<Sql, 'read'>): string =>
  sql.read((all) => textIn(all(`SELECT ${textColumn('vkey')} AS vkey FROM head WHERE one = 1`, [])[0]?.vkey) ?? '');

/** Why tables made for the verifier key `made` are not those of `vkey`. */
export function whyOther(made: string, vkey: string): string {
  const [madeFor, ours] = [made, vkey].map((key) => key.split('+', 1)[0]);
  return madeFor === ours
    ? 'ledger.seed (without one, the signer’s key) is not the one this log was made with; see docs/keys.md'
    : 'ledger.origin (by default from broker.url) is not the one this log was made with';
}

/** Text as its bytes: where they are no UTF-8, libsql would end the process. */
export const textColumn = (name: string): string => `CAST(${name} AS BLOB)`;

const columns = ['id', 'type', 'issuance', 'writer', 'record', 'disclosure']
  .map((name) => `${textColumn(`e.${name}`)} AS ${name}`)
  .concat('e.idx', 'e.leaf', 'e.tree')
  .join();

type All = (sql: string, params: readonly SqlValue[]) => readonly SqlRow[];

/** More than the table's first page can hold. */
const firstRows = 16;
/** Pages that one page can list. */
const fillRows = 600;
const fillFrom = Number.MAX_SAFE_INTEGER - fillRows;

/**
 * When the first page of `entries` is full, its rows move, and the page goes on as a list of pages: with copies of those rows
 * in it, until so many pages are listed that nothing of them is left. This makes it list as many, and takes them off again.
 */
const rootFill: readonly SqlStatement[] = [
  `WITH RECURSIVE fill (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM fill WHERE n < ${fillRows})
     INSERT INTO entries SELECT ${fillFrom} + n, 'fill-' || n, '', NULL, '', CAST(zeroblob(3900) AS TEXT), NULL, x'', 0 FROM fill`,
  `DELETE FROM entries WHERE idx > ${fillFrom}`,
].map((sql) => ({ sql, rows: [[]] }));

/** A log kept in SQLite tables. */
export function sqlLogStore(sql: Sql): LogStore {
  return {
    ...sqlReads(sql),
    async commit(change, deadline) {
      if ((await sql.write(statementsOf(change), deadline)) === 'conflict') throw new HeadMoved();
    },
    erase: (positions, deadline) => {
      const copies = positions.some((position) => position < firstRows) ? rootFill : [];
      return sql.blank({ table: 'entries', column: 'disclosure', key: 'idx', keys: positions, copies }, deadline);
    },
    async keepText(name, was, text, deadline) {
      return (await sql.write([textStatement(name, was, text)], deadline)) === 'done';
    },
    poll: () => sql.poll?.(),
    reopen: (deadline) => sql.reopen(deadline),
    async probe(deadline) {
      await sql.write([{ sql: 'UPDATE head SET size = size WHERE one = 1', rows: [[]] }], deadline);
    },
    close: () => sql.close(),
  };
}

function textStatement(name: string, was: string | undefined, text: string | null): SqlStatement {
  if (was === undefined)
    return text === null
      ? { sql: 'SELECT 1 WHERE ? IS NULL', rows: [] }
      : { sql: 'INSERT INTO texts VALUES (?, ?) ON CONFLICT DO NOTHING', rows: [[name, text]], changes: 1 };
  return text === null
    ? { sql: 'DELETE FROM texts WHERE name = ? AND text = ?', rows: [[name, was]], changes: 1 }
    : { sql: 'UPDATE texts SET text = ? WHERE name = ? AND text = ?', rows: [[text, name, was]], changes: 1 };
}

type LogReads = Omit<LogStore, 'commit' | 'erase' | 'keepText' | 'poll' | 'reopen' | 'probe' | 'close'>;

/** The reads of a log, which need no right to write. */
export function sqlReads(sql: Pick<Sql, 'read'>): LogReads {
  const entriesOf = (query: string, params: readonly SqlValue[]) =>
    sql.read((all) => all(`SELECT ${columns} FROM ${query}`, params).map(entryOf));
  const entries = (query: string, params: readonly SqlValue[]) => entriesOf(`entries e ${query}`, params);

  return {
    find: async (wanted) => sql.read((all) => find(all, wanted)),
    head: async () => sql.read(headOf),
    entries: async (from, to) => entries('WHERE e.idx >= ? AND e.idx < ? ORDER BY e.idx', [from, to]),
    at: async (positions) =>
      entriesOf('json_each(?) j CROSS JOIN entries e ON e.idx = j.value', [JSON.stringify(positions)]),
    hashes: async (base, tileLevel, from, to) => {
      const rows = sql.read((all) =>
        tileLevel === 0
          ? all('SELECT leaf AS hash FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx', [base + from, base + to])
          : all('SELECT hash FROM subtrees WHERE base = ? AND level = ? AND idx >= ? AND idx < ? ORDER BY idx', [
              base,
              tileLevel,
              from,
              to,
            ]),
      );
      if (rows.length !== to - from) throw new StoreFault('hashes_missing');
      return rows.map((row) => bytesIn(row.hash));
    },
    // The column `size` holds where the tree ends.
    checkpoint: async (end) =>
      sql.read(
        (all) =>
          textIn(all(`SELECT ${textColumn('note')} AS note FROM checkpoints WHERE size = ?`, [end])[0]?.note) ??
          undefined,
      ),
    text: async (name) =>
      sql.read(
        (all) =>
          textIn(all(`SELECT ${textColumn('text')} AS text FROM texts WHERE name = ?`, [name])[0]?.text) ?? undefined,
      ),
    list: async ({ type, before, limit }) =>
      type === undefined
        ? entries('WHERE e.idx < ? ORDER BY e.idx DESC LIMIT ?', [before, limit])
        : entries('WHERE e.type = ? AND e.idx < ? ORDER BY e.idx DESC LIMIT ?', [type, before, limit]),
    keys: async (writer, from, limit) =>
      entries("WHERE e.type = 'key' AND e.writer = ? AND e.idx >= ? ORDER BY e.idx LIMIT ?", [writer, from, limit]),
    issuance: async (id) => entries('WHERE e.issuance = ? ORDER BY e.idx', [id]),
    pending: async (state, { writer = null, before, after, limit }) =>
      entriesOf(`${pendingIn[state]} AND (?2 IS NULL OR i.writer = ?2) AND e.idx > ?3 ORDER BY e.idx LIMIT ?4`, [
        before,
        writer,
        after,
        limit,
      ]),
  };
}

// CROSS JOIN, so that what is pending is read first and not the whole log. Each names ?1: SQLite wants every number used.
const pendingIn: Readonly<Record<PendingState, string>> = {
  open: 'issuances i CROSS JOIN entries e ON e.idx = i.intent WHERE i.outcome IS NULL AND ?1 IS NOT NULL',
  expired: `issuances i CROSS JOIN entries e ON e.idx = i.outcome WHERE i.intent IS NOT NULL AND i.outcome IS NOT NULL
    AND i.ended IS NULL AND i.expires < ?1`,
  // Of what did not land, the intent says what is to be undone.
  unrevoked: `unrevoked u CROSS JOIN issuances i ON i.id = u.id
    CROSS JOIN entries e ON e.idx = CASE WHEN i.outcome = i.ended THEN i.intent ELSE i.outcome END
    WHERE ?1 IS NOT NULL`,
};

/** A blob, as either SQLite gives it; nothing where somebody put something else there. */
export function bytesIn(value: unknown): Uint8Array {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return value instanceof Uint8Array ? value : new Uint8Array(0);
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** The text of a `textColumn`. Bytes that are none become other text, which no hash or signature fits. */
export const textIn = (value: unknown): string | null =>
  value === null || value === undefined ? null : utf8.decode(bytesIn(value));

function find(all: All, wanted: Wanted): Found {
  const head = headOf(all);
  const some = (keys: readonly string[], query: string): readonly SqlRow[] =>
    keys.length === 0 ? [] : all(query, [JSON.stringify(keys)]);
  const entries = some(wanted.ids, `SELECT ${columns} FROM json_each(?) j CROSS JOIN entries e ON e.id = j.value`);
  const issuances = some(
    wanted.issuances,
    `SELECT i.*, u.since, u.told FROM json_each(?) j CROSS JOIN issuances i ON i.id = j.value
       LEFT JOIN unrevoked u ON u.id = i.id`,
  );
  const held = some(wanted.issuances, 'SELECT h.* FROM json_each(?) j CROSS JOIN held h ON h.id = j.value');
  const holding = wanted.holders.map((one): [string, number] => {
    const params = [one.holder, one.credential, wanted.now];
    const rows = all('SELECT count(*) AS n FROM held WHERE holder = ? AND credential = ? AND expires > ?', params);
    return [holdingKey(one), rows[0]?.n as number];
  });
  const spent = some(wanted.spent, 'SELECT s.* FROM json_each(?) j CROSS JOIN spent s ON s.key = j.value');
  const seen = some(wanted.seen, 'SELECT s.* FROM json_each(?) j CROSS JOIN seen s ON s.name = j.value');
  const lockdowns =
    head.epoch === 0
      ? []
      : all(`SELECT ${columns} FROM lockdowns l JOIN entries e ON e.idx = l.idx ORDER BY l.idx`, []);
  return {
    head,
    entries: new Map(entries.map(entryOf).map((entry) => [entry.id, entry])),
    issuances: new Map(issuances.map(issuanceStateOf).map((state) => [state.id, state])),
    spent: new Map(spent.map((row) => [row.key as string, row.idx as number])),
    seen: new Set(seen.map((row) => row.name as string)),
    lockdowns: lockdowns.map(entryOf),
    held: new Map(held.map((row) => [row.id as string, heldOf(row)])),
    holding: new Map(holding),
  };
}

const heldOf = (row: SqlRow): Held => ({
  credential: row.credential as string,
  holder: row.holder as string,
  expiresAt: row.expires as number,
});

function headOf(all: All): Head {
  const row = all(
    `SELECT size, compact, root, epoch, ${textColumn('checkpoint')} AS checkpoint, generation, base FROM head WHERE one = 1`,
    [],
  )[0];
  if (row === undefined) throw new StoreFault('head_missing');
  const compact = bytesIn(row.compact);
  const range = Array.from({ length: compact.length / 32 }, (_, at) => compact.subarray(at * 32, at * 32 + 32));
  const generation = row.generation as number;
  const ended = generation === 1 ? [] : all('SELECT generation, base, size FROM ended ORDER BY generation', []);
  return {
    generation,
    base: row.base as number,
    ended: ended as unknown as Head['ended'],
    size: row.size as number,
    range,
    root: bytesIn(row.root),
    epoch: row.epoch as number,
    checkpoint: textIn(row.checkpoint) ?? '',
  };
}

/** Text that was overwritten to be erased is none. */
const unfilled = (text: string | null): string | null => (text?.startsWith('\0') ? null : text);

function entryOf(row: SqlRow): StoredEntry {
  return {
    index: row.idx as number,
    id: textIn(row.id) ?? '',
    type: textIn(row.type) as RecordType,
    issuance: textIn(row.issuance),
    writer: textIn(row.writer) ?? '',
    record: textIn(row.record) ?? '',
    disclosure: unfilled(textIn(row.disclosure)),
    leaf: bytesIn(row.leaf),
    tree: row.tree as number,
  };
}

export function issuanceStateOf(row: SqlRow): IssuanceState {
  return {
    id: row.id as string,
    writer: row.writer as string,
    intent: row.intent as number | null,
    outcome: row.outcome as number | null,
    once: row.once as string | null,
    expiresAt: row.expires as number | null,
    ended: row.ended as number | null,
    owed: typeof row.since === 'number' ? { since: row.since, told: row.told as number | null } : null,
  };
}

function statementsOf({ from, head, ...change }: Change): SqlStatement[] {
  const { generation, base, size, range, root, epoch, checkpoint } = head;
  const began = change.lockdowns.filter(({ lifted }) => !lifted);
  const lifted = change.lockdowns.filter((lockdown) => lockdown.lifted);
  const statements: SqlStatement[] = [
    {
      sql: `UPDATE head SET size = ?, compact = ?, root = ?, epoch = ?, checkpoint = ?, generation = ?, base = ?
              WHERE one = 1 AND base = ? AND size = ? AND root = ?`,
      rows: [[size, concat(...range), root, epoch, checkpoint, generation, base, from.base, from.size, from.root]],
      changes: 1,
    },
    {
      // As text on its way: a small blob costs more to hand to another thread than all the rest of the row.
      sql: 'INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, unhex(?), ?)',
      rows: change.entries.map((entry) => [
        entry.index,
        entry.id,
        entry.type,
        entry.issuance,
        entry.writer,
        entry.record,
        entry.disclosure,
        toHex(entry.leaf),
        entry.tree,
      ]),
    },
    { sql: 'INSERT INTO checkpoints VALUES (?, ?)', rows: change.checkpoints.map(({ end, note }) => [end, note]) },
    {
      sql: 'INSERT INTO subtrees VALUES (?, ?, ?, ?)',
      rows: change.subtrees.map((subtree) => [subtree.base, subtree.level, subtree.index, subtree.hash]),
    },
    {
      sql: 'INSERT INTO ended VALUES (?, ?, ?)',
      rows: change.ended.map((log) => [log.generation, log.base, log.size]),
    },
    {
      sql: 'INSERT OR REPLACE INTO issuances VALUES (?, ?, ?, ?, ?, ?, ?)',
      rows: change.issuances.map((state) => [
        state.id,
        state.writer,
        state.intent,
        state.outcome,
        state.once,
        state.expiresAt,
        state.ended,
      ]),
    },
    {
      sql: 'INSERT OR REPLACE INTO unrevoked VALUES (?, ?, ?)',
      rows: change.issuances.flatMap(({ id, owed }) => (owed === null ? [] : [[id, owed.since, owed.told]])),
    },
    {
      sql: 'DELETE FROM unrevoked WHERE id = ?',
      rows: change.issuances.flatMap(({ id, ended, owed }) => (ended !== null && owed === null ? [[id]] : [])),
    },
    {
      sql: 'INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?)',
      rows: change.held.map(({ id, credential, holder, expiresAt }) => [id, credential, holder, expiresAt]),
    },
    { sql: 'DELETE FROM held WHERE id = ?', rows: change.freed.map((id) => [id]) },
    { sql: 'DELETE FROM held WHERE expires <= ?', rows: change.held.length === 0 ? [] : [[change.now]] },
    { sql: 'INSERT INTO spent VALUES (?, ?)', rows: change.spent.map(({ key, index }) => [key, index]) },
    { sql: 'INSERT INTO seen VALUES (?, ?)', rows: change.seen.map(({ name, index }) => [name, index]) },
    { sql: 'INSERT INTO lockdowns VALUES (?)', rows: began.map(({ index }) => [index]) },
    { sql: 'DELETE FROM lockdowns WHERE idx = ?', rows: lifted.map(({ index }) => [index]) },
  ];
  return statements.filter(({ rows }) => rows.length > 0);
}
