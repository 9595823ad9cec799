/** The version of the tables; one that a broker finds older or newer is not written to. */
export const tablesVersion = 1;

/**
 * The tables of a ledger. `log` tells its shards apart, 0 where there is one. No right of a broker's changes or removes
 * what a checkpoint covers: it only adds to those tables. In CockroachDB text has one order and takes no COLLATE.
 */
export function tablesOf(schema: string, cockroach: boolean): readonly string[] {
  const text = cockroach ? 'text' : 'text COLLATE "C"';
  const table = (name: string, columns: string) => `CREATE TABLE ${schema}.${name} (${columns})`;
  const index = (name: string, on: string) => `CREATE INDEX ${name} ON ${schema}.${on}`;
  return [
    table('made', 'one integer PRIMARY KEY CHECK (one = 1), version integer NOT NULL'),
    table(
      'head',
      `log integer PRIMARY KEY, vkey text NOT NULL, generation integer NOT NULL, base bigint NOT NULL, size bigint NOT NULL,
       compact bytea NOT NULL, root bytea NOT NULL, epoch bigint NOT NULL, checkpoint text NOT NULL`,
    ),
    table(
      'entries',
      `log integer NOT NULL, idx bigint NOT NULL, id ${text} NOT NULL, type ${text} NOT NULL, issuance ${text},
       writer ${text} NOT NULL, record text NOT NULL, leaf bytea NOT NULL, tree bigint NOT NULL, PRIMARY KEY (log, idx)`,
    ),
    `CREATE UNIQUE INDEX entries_by_id ON ${schema}.entries (log, id)`,
    index('entries_by_type', 'entries (log, type, idx)'),
    index('entries_by_issuance', 'entries (log, issuance, idx) WHERE issuance IS NOT NULL'),
    // Apart, so that what is erased leaves a small table that can be vacuumed, and no row of the log is ever changed.
    table('disclosures', 'log integer NOT NULL, idx bigint NOT NULL, text text NOT NULL, PRIMARY KEY (log, idx)'),
    table(
      'subtrees',
      `log integer NOT NULL, base bigint NOT NULL, level integer NOT NULL, idx bigint NOT NULL, hash bytea NOT NULL,
       PRIMARY KEY (log, base, level, idx)`,
    ),
    table('checkpoints', 'log integer NOT NULL, ends bigint NOT NULL, note text NOT NULL, PRIMARY KEY (log, ends)'),
    table(
      'ended',
      `log integer NOT NULL, generation integer NOT NULL, base bigint NOT NULL, size bigint NOT NULL,
       PRIMARY KEY (log, generation)`,
    ),
    table('spent', `log integer NOT NULL, key ${text} NOT NULL, idx bigint NOT NULL, PRIMARY KEY (log, key)`),
    table('seen', `log integer NOT NULL, name ${text} NOT NULL, idx bigint NOT NULL, PRIMARY KEY (log, name)`),
    table('lockdowns', 'log integer NOT NULL, idx bigint NOT NULL, lifted boolean NOT NULL, PRIMARY KEY (log, idx)'),
    table(
      'issuances',
      `log integer NOT NULL, id ${text} NOT NULL, writer ${text} NOT NULL, intent bigint, outcome bigint, once text,
       expires bigint, ended bigint, since bigint, told bigint, PRIMARY KEY (log, id)`,
    ),
    index('issuances_open', 'issuances (log, intent) WHERE outcome IS NULL'),
    index(
      'issuances_expiring',
      'issuances (log, expires) WHERE intent IS NOT NULL AND outcome IS NOT NULL AND ended IS NULL',
    ),
    index('issuances_owed', 'issuances (log, since) WHERE since IS NOT NULL'),
    table(
      'held',
      `log integer NOT NULL, id ${text} NOT NULL, credential ${text} NOT NULL, holder ${text} NOT NULL,
       expires bigint NOT NULL, PRIMARY KEY (log, id)`,
    ),
    index('held_by', 'held (log, holder, credential, expires)'),
    index('held_until', 'held (log, expires)'),
    table('texts', `log integer NOT NULL, name ${text} NOT NULL, text text NOT NULL, PRIMARY KEY (log, name)`),
    ...indexTablesOf(schema, text),
  ];
}

/** Their names. Others may lie in the same schema, and are nobody's business here. */
export const tableNames = (): readonly string[] =>
  tablesOf('s', false).flatMap((sql) => /^CREATE TABLE s\.(\w+)/.exec(sql)?.[1] ?? []);

/** What an entry may be found by; the columns of the query index. */
export const indexMembers = [
  'type',
  'issuance',
  'issuer',
  'credential',
  'kind',
  'store',
  'grant',
  'reason',
  'account',
  'fingerprint',
  'fingerprintKey',
  'trace',
  'name',
  'token',
] as const;

export const columnOf = (member: string): string => `by_${member.toLowerCase()}`;

/** Values are kept as digests of 8 bytes, which is half the size; names also as they are, for patterns. */
const indexTablesOf = (schema: string, text: string): string[] => [
  `CREATE TABLE ${schema}.index_seen (log integer PRIMARY KEY, seen bigint NOT NULL, forgets bigint NOT NULL)`,
  `CREATE TABLE ${schema}.index_forgotten (log integer NOT NULL, idx bigint NOT NULL, PRIMARY KEY (log, idx))`,
  `CREATE TABLE ${schema}.index_names (log integer NOT NULL, digest bigint NOT NULL, name ${text} NOT NULL,
     PRIMARY KEY (log, digest))`,
  `CREATE INDEX index_names_by_name ON ${schema}.index_names (log, name)`,
  `CREATE TABLE ${schema}.index_keys (log integer NOT NULL, key text NOT NULL, n bigint NOT NULL, PRIMARY KEY (log, key))`,
  `CREATE TABLE ${schema}.index_times (log integer NOT NULL, unit integer NOT NULL, at bigint NOT NULL,
     first bigint NOT NULL, last bigint NOT NULL, PRIMARY KEY (log, unit, at))`,
  `CREATE TABLE ${schema}.index_rows (log integer NOT NULL, idx bigint NOT NULL, time bigint NOT NULL,
     ${indexMembers.map((member) => `${columnOf(member)} bigint`).join(', ')}, PRIMARY KEY (log, idx))`,
  ...indexMembers
    .map(columnOf)
    .map(
      (column) =>
        `CREATE INDEX index_${column} ON ${schema}.index_rows (log, ${column}, idx) WHERE ${column} IS NOT NULL`,
    ),
];
