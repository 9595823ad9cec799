import { sha256Url } from '../lib/bytes.ts';
import type { Deadline } from '../lib/deadline.ts';
import { Refusal } from '../lib/refusal.ts';
import { StoreFault } from './log-store.ts';
import { type NamePattern, namePattern } from './name-pattern.ts';
import type { IndexFilter, IndexRow, QueryIndex } from './query-index.ts';
import { unavailable } from './queue.ts';
import type { SqlRow, SqlStatement, SqlValue } from './sql.ts';

/** An SQLite as an index uses it, on this thread or another. Rejects with StoreFault. */
export interface IndexSql {
  read(sql: string, params: readonly SqlValue[], deadline: Deadline): Promise<readonly SqlRow[]>;
  /** One transaction; `conflict` when a run's changes differ: nothing was written. */
  write(statements: readonly SqlStatement[], deadline: Deadline): Promise<'done' | 'conflict'>;
  /** Sees to it that what was overwritten is in no file any more. */
  scrub(deadline: Deadline): Promise<void>;
  close(): Promise<void>;
}

/** Members with few values: each is a word with a number, and counted. Their columns bear other names than SQL's own words. */
const worded = ['type', 'issuer', 'credential', 'kind', 'store', 'grant', 'reason', 'name', 'fingerprintKey'] as const;
/** Members whose values are nearly all different: kept as a digest, which is shorter. */
const hashed = ['issuance', 'account', 'fingerprint', 'trace', 'token'] as const;
const columns: readonly string[] = [...worded, ...hashed].map((member) => `by_${member}`);

function wordsTable(name: string): string {
  return `CREATE TABLE ${name} (id INTEGER PRIMARY KEY, member TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
     n INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, UNIQUE (member, key))`;
}

/** Puts the words into new pages, where the old ones cannot be overwritten: rows that grow or go leave copies behind. */
export const moveWords: readonly SqlStatement[] = [
  wordsTable('index_moved'),
  'INSERT INTO index_moved SELECT * FROM index_words',
  'DROP TABLE index_words',
  'ALTER TABLE index_moved RENAME TO index_words',
].map((sql) => ({ sql, rows: [[]] }));

/** The tables of an index, to be created in one transaction; they may lie beside a log's. */
export const indexSchema: readonly string[] = [
  'CREATE TABLE index_state (one INTEGER PRIMARY KEY CHECK (one = 1), seen INTEGER NOT NULL)',
  'INSERT INTO index_state VALUES (1, 0)',
  // `n`: how many rows have it; all of them lie within [first, last]. A name stands in one place only, where it can be
  // overwritten: its key is a digest.
  wordsTable('index_words'),
  `CREATE TABLE index_rows (idx INTEGER PRIMARY KEY, time INTEGER NOT NULL,
     ${worded.map((member) => `by_${member} INTEGER`).join()}, ${hashed.map((member) => `by_${member} TEXT`).join()})`,
  // Below each value the positions lie in order by themselves: an index ends in the row's own number.
  ...columns.map((column) => `CREATE INDEX index_${column} ON index_rows (${column}) WHERE ${column} IS NOT NULL`),
  // Which positions have times of a minute, and of a day: times go up and down a little from one to the next.
  `CREATE TABLE index_times (unit INTEGER, at INTEGER, first INTEGER NOT NULL, last INTEGER NOT NULL,
     PRIMARY KEY (unit, at)) WITHOUT ROWID`,
  'CREATE TABLE index_forgotten (idx INTEGER PRIMARY KEY)',
];

const minute = 60_000;
const minutesInDay = 1_440;
const end = 2 ** 50;
/** Names that one pattern is compared with. */
const mostNames = 50_000;
/** Of a value with no more rows than this, all are looked at in one go. */
const fewRows = 50_000;
/** How many positions one statement goes through, at first and at most, so that none keeps others waiting for long. */
const windows = { first: 65_536, most: 524_288 } as const;

/** An index in SQLite tables: a file's beside the log's, or a Durable Object's. */
export function sqlQueryIndex(sql: IndexSql): QueryIndex {
  async function add(given: readonly IndexRow[], from: number, to: number, deadline: Deadline): Promise<boolean> {
    const found = await sql.read('SELECT idx FROM index_forgotten WHERE idx >= ? AND idx < ?', [from, to], deadline);
    const forgotten = new Set(found.map((row) => row.idx as number));
    const rows = given.map((row) => (forgotten.has(row.index) ? { ...row, name: undefined, token: undefined } : row));
    const statements = [
      {
        sql: `UPDATE index_state SET seen = ?2 WHERE one = 1 AND seen = ?1
                AND (SELECT count(*) FROM index_forgotten WHERE idx >= ?1 AND idx < ?2) = ?3`,
        rows: [[from, to, forgotten.size]],
        changes: 1,
      },
      { sql: putWord, rows: wordsOf(rows) },
      { sql: putTime, rows: timesOf(rows) },
      { sql: putRows, rows: rows.length === 0 ? [] : [[JSON.stringify(rows.map(rowValues))]] },
      { sql: 'DELETE FROM index_forgotten WHERE idx < ?', rows: forgotten.size === 0 ? [] : [[to]] },
    ];
    return (
      (await sql.write(
        statements.filter((one) => one.rows.length > 0),
        deadline,
      )) === 'done'
    );
  }

  async function find(
    filter: IndexFilter,
    before: number,
    limit: number,
    deadline: Deadline,
  ): Promise<readonly number[]> {
    const asked = await planFor(sql, filter, before, deadline);
    const found: number[] = [];
    if (asked === undefined) return found;
    let span = asked.few ? end : windows.first;
    for (let high = asked.before; high > asked.from && found.length < limit; ) {
      const low = Math.max(asked.from, high - span);
      const params = [...asked.params, low, high, limit - found.length];
      const query = `SELECT idx FROM index_rows ${asked.by} WHERE ${[...asked.where, 'idx >= ?', 'idx < ?'].join(' AND ')}
        ORDER BY idx DESC LIMIT ?`;
      for (const row of await sql.read(query, params, deadline)) found.push(row.idx as number);
      high = low;
      span = Math.min(span * 2, asked.few ? end : windows.most);
    }
    return found;
  }

  async function forget(positions: readonly number[], deadline: Deadline): Promise<void> {
    const rows = positions.map((position) => [position]);
    await sql.write(
      [
        { sql: 'INSERT OR IGNORE INTO index_forgotten SELECT ?1 FROM index_state WHERE seen <= ?1', rows },
        {
          sql: 'UPDATE index_words SET n = n - 1 WHERE id = (SELECT by_name FROM index_rows WHERE idx = ?)',
          rows,
        },
        { sql: 'UPDATE index_rows SET by_name = NULL, by_token = NULL WHERE idx = ?', rows },
        {
          sql: `UPDATE index_words SET value = CAST(zeroblob(length(CAST(value AS BLOB))) AS TEXT) ${unused}`,
          rows: [[]],
        },
      ],
      deadline,
    );
    // Not in the same transaction: what is given up there is not written over.
    await sql.write([{ sql: `DELETE FROM index_words ${unused}`, rows: [[]] }], deadline);
    await sql.scrub(deadline);
  }

  async function clear(deadline: Deadline): Promise<void> {
    const tables = ['index_rows', 'index_words', 'index_times'].map((table) => ({
      sql: `DELETE FROM ${table}`,
      rows: [[]],
    }));
    await sql.write([...tables, { sql: 'UPDATE index_state SET seen = 0', rows: [[]] }], deadline);
  }

  async function fingerprintKeys(deadline: Deadline): Promise<Readonly<Record<string, number>>> {
    const query = "SELECT value, n FROM index_words WHERE member = 'fingerprintKey'";
    const rows = await sql.read(query, [], deadline);
    return Object.fromEntries(rows.map(({ value, n }) => [value as string, n as number]));
  }

  return {
    seen: (deadline) => answered(() => readSeen(sql, deadline)),
    add: (rows, from, to, deadline) => answered(() => add(rows, from, to, deadline)),
    find: (filter, before, limit, deadline) => answered(() => find(filter, before, limit, deadline)),
    forget: (positions, deadline) => answered(() => forget(positions, deadline)),
    clear: (deadline) => answered(() => clear(deadline)),
    fingerprintKeys: (deadline) => answered(() => fingerprintKeys(deadline)),
    close: () => sql.close(),
  };
}

async function readSeen(sql: IndexSql, deadline: Deadline): Promise<number> {
  const rows = await sql.read('SELECT seen FROM index_state WHERE one = 1', [], deadline);
  return rows[0]?.seen as number;
}

async function answered<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw unavailable(error instanceof StoreFault ? `index_${error.reason}` : 'index', error);
  }
}

const unused = "WHERE member = 'name' AND n <= 0";
const putWord = `INSERT INTO index_words (member, key, value, n, first, last) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (member, key) DO UPDATE SET n = n + excluded.n, last = excluded.last, value = excluded.value`;
const putTime = `INSERT INTO index_times VALUES (?, ?, ?, ?)
  ON CONFLICT (unit, at) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)`;
// All rows in one parameter: to hand them over one by one costs more than to write them.
const putRows = `INSERT INTO index_rows SELECT j.value ->> 0, j.value ->> 1, ${worded
  .map((member, at) => `(SELECT id FROM index_words WHERE member = '${member}' AND key = j.value ->> ${at + 2})`)
  .join()}, ${hashed.map((_, at) => `j.value ->> ${worded.length + at + 2}`).join()} FROM json_each(?) j`;

const digestOf = (value: string): string => sha256Url(value).slice(0, 12);

const keyOf = (member: string, value: string): string => (member === 'name' ? digestOf(value) : value);

const rowValues = (row: IndexRow): SqlValue[] => [
  row.index,
  row.time,
  ...worded.map((member) => (row[member] === undefined ? null : keyOf(member, row[member]))),
  ...hashed.map((member) => (row[member] === undefined ? null : digestOf(row[member]))),
];

/** Each word of these rows once, with how many have it and where. */
function wordsOf(rows: readonly IndexRow[]): SqlValue[][] {
  const words = new Map<string, [string, string, string, number, number, number]>();
  for (const row of rows) {
    for (const member of worded) {
      const value = row[member];
      if (value === undefined) continue;
      const word = words.get(`${member} ${value}`);
      if (word === undefined)
        words.set(`${member} ${value}`, [member, keyOf(member, value), value, 1, row.index, row.index]);
      else {
        word[3]++;
        word[5] = row.index;
      }
    }
  }
  return [...words.values()];
}

function timesOf(rows: readonly IndexRow[]): SqlValue[][] {
  const times = new Map<string, [number, number, number, number]>();
  for (const { index, time } of rows) {
    for (const unit of [minute, minute * minutesInDay]) {
      const at = Math.floor(time / unit);
      const known = times.get(`${unit} ${at}`);
      if (known === undefined) times.set(`${unit} ${at}`, [unit, at, index, index]);
      else known[3] = index;
    }
  }
  return [...times.values()];
}

/** How a filter is answered: through which index, and between which positions. */
interface Plan {
  readonly by: string;
  readonly where: readonly string[];
  readonly params: readonly SqlValue[];
  /** Positions [from, before). */
  readonly from: number;
  readonly before: number;
  readonly few: boolean;
}

/** One condition on a column. */
interface Term {
  readonly column: string;
  readonly sql: string;
  readonly param: SqlValue;
  /** How many rows hold it; where nobody counts, few. */
  readonly rows: number;
  readonly first: number;
  readonly last: number;
}

/** Undefined where nothing can fit. */
async function planFor(
  sql: IndexSql,
  filter: IndexFilter,
  before: number,
  deadline: Deadline,
): Promise<Plan | undefined> {
  const terms: Term[] = [];
  for (const member of hashed) {
    const value = filter[member];
    if (value === undefined) continue;
    terms.push({ ...term(`by_${member}`, digestOf(value)), rows: 0, first: 0, last: end });
  }
  for (const member of worded) {
    const value = filter[member];
    if (value === undefined) continue;
    const pattern = member === 'name' ? namePattern(value) : undefined;
    const found =
      pattern?.exact === false ? await namesTerm(sql, pattern, deadline) : await wordTerm(sql, member, value, deadline);
    if (found === undefined) return undefined;
    terms.push(found);
  }
  const times = await timesFor(sql, filter, deadline);
  if (times === undefined) return undefined;
  const from = Math.max(times.first, ...terms.map(({ first }) => first));
  const high = Math.min(before, times.last + 1, ...terms.map(({ last }) => last + 1));
  // What the fewest rows hold is looked up, and the rest compared; many names at once are no index to read in order.
  const best = terms.filter((one) => !one.sql.includes(' IN ')).sort((a, b) => a.rows - b.rows)[0];
  const named = terms.find((one) => one.sql.includes(' IN '));
  const byNames = named !== undefined && named.rows <= Math.min(fewRows, best?.rows ?? fewRows);
  const lead = byNames ? named : best;
  const time = [
    ...(filter.from === undefined ? [] : [['time >= ?', filter.from] as const]),
    ...(filter.to === undefined ? [] : [['time < ?', filter.to] as const]),
  ];
  return {
    by: lead === undefined ? 'NOT INDEXED' : `INDEXED BY index_${lead.column}`,
    where: [...terms.map((one) => one.sql), ...time.map(([text]) => text)],
    params: [...terms.map((one) => one.param), ...time.map(([, value]) => value)],
    from,
    before: high,
    few: lead !== undefined && lead.rows <= fewRows,
  };
}

const term = (column: string, param: SqlValue) => ({ column, sql: `${column} = ?`, param });

async function wordTerm(sql: IndexSql, member: string, value: string, deadline: Deadline): Promise<Term | undefined> {
  const query = 'SELECT id, n, first, last FROM index_words WHERE member = ? AND key = ?';
  const word = (await sql.read(query, [member, keyOf(member, value)], deadline))[0];
  if (word === undefined) return undefined;
  const { id, n, first, last } = word as unknown as { id: number; n: number; first: number; last: number };
  return { ...term(`by_${member}`, id), rows: n, first, last };
}

/** All names that a pattern matches. @throws Refusal invalid_request where there are too many to look through */
async function namesTerm(sql: IndexSql, pattern: NamePattern, deadline: Deadline): Promise<Term | undefined> {
  const words = await sql.read(
    `SELECT id, value, n, first, last FROM index_words
       WHERE member = 'name' AND value >= ?1 AND value < ?1 || char(1114111) LIMIT ${mostNames + 1}`,
    [pattern.prefix],
    deadline,
  );
  if (words.length > mostNames)
    throw new Refusal('invalid_request', 'identity_too_broad', {
      detail: 'More names begin like that than one query looks through; let identity begin with more.',
    });
  const found = words.filter(({ value }) => pattern.matches(value as string));
  if (found.length === 0) return undefined;
  if (found.length === 1) return wordTerm(sql, 'name', found[0]?.value as string, deadline);
  return {
    column: 'by_name',
    sql: 'by_name IN (SELECT value FROM json_each(?))',
    param: JSON.stringify(found.map(({ id }) => id)),
    rows: found.reduce((sum, { n }) => sum + (n as number), 0),
    first: found.reduce((least, { first }) => Math.min(least, first as number), end),
    last: found.reduce((most, { last }) => Math.max(most, last as number), 0),
  };
}

/** Between which positions the times asked for lie; undefined where there are none. */
async function timesFor(
  sql: IndexSql,
  { from, to }: IndexFilter,
  deadline: Deadline,
): Promise<{ first: number; last: number } | undefined> {
  if (from === undefined && to === undefined) return { first: 0, last: (await readSeen(sql, deadline)) - 1 };
  const begin = Math.floor((from ?? 0) / minute);
  const until = to === undefined ? end : Math.ceil(to / minute);
  const [firstDay, lastDay] = [Math.ceil(begin / minutesInDay), Math.floor(until / minutesInDay)];
  const day = minute * minutesInDay;
  const spans =
    firstDay >= lastDay
      ? [[minute, begin, until]]
      : [
          [minute, begin, firstDay * minutesInDay],
          [day, firstDay, lastDay],
          [minute, lastDay * minutesInDay, until],
        ];
  const query = `SELECT min(t.first) AS first, max(t.last) AS last FROM json_each(?) j CROSS JOIN index_times t
    ON t.unit = j.value ->> 0 AND t.at >= j.value ->> 1 AND t.at < j.value ->> 2`;
  const row = (await sql.read(query, [JSON.stringify(spans)], deadline))[0];
  if (typeof row?.first !== 'number') return undefined;
  return { first: row.first, last: row.last as number };
}
