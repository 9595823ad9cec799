import type { SqlStatement } from '../sql/sql.ts';

/** Members with few values, which mostly come together: entries that have the same of each are of one sort. */
export const sorted = ['type', 'issuer', 'credential', 'kind', 'store', 'grant', 'reason', 'fingerprintKey'] as const;
/** Members whose values are nearly all different: kept as a digest, which is shorter. */
export const hashed = ['issuance', 'account', 'fingerprint', 'trace', 'token'] as const;

// Their columns bear other names than SQL's own words.
const sortColumns = sorted.map((member) => `by_${member}`);

function namesTable(name: string): string {
  return `CREATE TABLE ${name} (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value TEXT NOT NULL,
     n INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL)`;
}

/** Puts the names into new pages, where the old ones cannot be overwritten: rows that grow or go leave copies behind. */
export const moveNames: readonly SqlStatement[] = [
  namesTable('index_moved'),
  'INSERT INTO index_moved SELECT * FROM index_names',
  'DROP TABLE index_names',
  'ALTER TABLE index_moved RENAME TO index_names',
].map((sql) => ({ sql, rows: [[]] }));

/**
 * The tables of an index, to be created in one transaction; they may lie beside a log's. All that is large grows at its end
 * alone: rows by position, and where a value is found by run, which is a number of positions that follow one another. So
 * what an entry costs does not depend on how many there are.
 */
export const indexSchema: readonly string[] = [
  // `sealed`: of so many runs the values are in index_runs; rows after them are looked through.
  'CREATE TABLE index_state (one INTEGER PRIMARY KEY CHECK (one = 1), seen INTEGER NOT NULL, sealed INTEGER NOT NULL)',
  'INSERT INTO index_state VALUES (1, 0, 0)',
  // `n`: how many rows are of it; all of them lie within [first, last].
  `CREATE TABLE index_sorts (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, ${sortColumns.map((column) => `${column} TEXT`).join()},
     n INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL)`,
  ...sortColumns.map(
    (column) => `CREATE INDEX index_sorts_${column} ON index_sorts (${column}) WHERE ${column} IS NOT NULL`,
  ),
  // A name stands in one place only, where it can be overwritten: its key is a digest.
  namesTable('index_names'),
  `CREATE TABLE index_rows (idx INTEGER PRIMARY KEY, time INTEGER NOT NULL, by_sort INTEGER NOT NULL, by_name INTEGER,
     ${hashed.map((member) => `by_${member} INTEGER`).join()})`,
  // `at`: where in the run, as a number or as a JSON array of them, the last first.
  'CREATE TABLE index_runs (run INTEGER, value INTEGER, at, PRIMARY KEY (run, value)) WITHOUT ROWID',
  // Which positions have times of a minute, and of a day: times go up and down a little from one to the next.
  `CREATE TABLE index_times (unit INTEGER, at INTEGER, first INTEGER NOT NULL, last INTEGER NOT NULL,
     PRIMARY KEY (unit, at)) WITHOUT ROWID`,
  'CREATE TABLE index_forgotten (idx INTEGER PRIMARY KEY)',
];

/** Those of what is built from the log, and nothing else. */
export const builtTables = ['index_rows', 'index_runs', 'index_sorts', 'index_names', 'index_times'] as const;

/** Units of `index_times`: milliseconds of a minute, and its number in a day. */
export const minute = 60_000;
export const minutesInDay = 1_440;
