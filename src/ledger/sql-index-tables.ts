import type { SqlStatement } from './sql.ts';

/** Members with few values: each is a word with a number, and counted. Their columns bear other names than SQL's own words. */
export const worded = [
  'type',
  'issuer',
  'credential',
  'kind',
  'store',
  'grant',
  'reason',
  'name',
  'fingerprintKey',
] as const;
/** Members whose values are nearly all different: kept as a digest, which is shorter. */
export const hashed = ['issuance', 'account', 'fingerprint', 'trace', 'token'] as const;
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

/** Units of `index_times`: milliseconds of a minute, and its number in a day. */
export const minute = 60_000;
export const minutesInDay = 1_440;
