import { emptyRoot } from '../tree/merkle.ts';
import { type Sql, type SqlStatement, textColumn, textIn } from './sql.ts';

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
