import { type Sql, type SqlRow, textColumn, textIn } from '../sql/sql.ts';
import type { Finding } from './derive.ts';

/**
 * Of what type the values of each table are, the first one its key. SQLite keeps any type in any column, and what has the
 * same bytes and another type is not found by a look-up. `?`: or nothing.
 */
const columnTypes: Readonly<Record<string, string>> = {
  head: 'one integer, vkey text, size integer, compact blob, root blob, epoch integer, checkpoint text, generation integer, base integer',
  checkpoints: 'size integer, note text',
  subtrees: 'idx integer, base integer, level integer, hash blob',
  ended: 'generation integer, base integer, size integer',
  spent: 'key text, idx integer',
  seen: 'name text, idx integer',
  issuances: 'id text, writer text, intent integer?, outcome integer?, once text?, expires integer?, ended integer?',
  unrevoked: 'id text, since integer, told integer?',
  held: 'id text, credential text, holder text, expires integer',
  texts: 'name text, text text',
};

/** Whether a value of a row `t` is of another type than this says. */
export function isOtherType(types: string): string {
  const tests = types.split(', ').map((column) => {
    const [name, type = ''] = column.split(' ');
    const plain = type.replace('?', '');
    return plain === type ? `typeof(t.${name}) <> '${plain}'` : `typeof(t.${name}) NOT IN ('${plain}', 'null')`;
  });
  return `(${tests.join(' OR ')})`;
}

const otherTypes = Object.entries(columnTypes).map(([table, types]) => {
  const [key = ''] = types.split(' ');
  return [
    table,
    `SELECT ${textColumn(`t.${key}`)} AS key FROM ${table} t WHERE ${isOtherType(types)} LIMIT 100`,
  ] as const;
});

/** Logs there are, as they lie. */
const logs = '(SELECT base, size FROM ended UNION ALL SELECT base, size FROM head)';

// Each is one statement, so that a server may go on writing.
const astray: readonly (readonly [table: string, query: string])[] = [
  ['head', `SELECT ${textColumn('one')} AS key FROM head WHERE one <> 1 LIMIT 100`],
  [
    'checkpoints',
    `SELECT ${textColumn('c.size')} AS key FROM checkpoints c JOIN head h WHERE c.size < 1 OR c.size > h.base + h.size LIMIT 100`,
  ],
  [
    'subtrees',
    `SELECT ${textColumn(`s.base || '/' || s.level || '/' || s.idx`)} AS key FROM subtrees s
       WHERE s.level < 1 OR s.level > 6 OR s.idx < 0 OR NOT EXISTS
         (SELECT 1 FROM ${logs} l WHERE l.base = s.base AND ((s.idx + 1) << (8 * s.level)) <= l.size) LIMIT 100`,
  ],
  [
    'unrevoked',
    `SELECT ${textColumn('u.id')} AS key FROM unrevoked u WHERE NOT EXISTS (SELECT 1 FROM issuances i WHERE i.id = u.id) LIMIT 100`,
  ],
  [
    'held',
    `SELECT ${textColumn('h.id')} AS key FROM held h WHERE NOT EXISTS (SELECT 1 FROM entries e WHERE e.issuance = h.id) LIMIT 100`,
  ],
];

/** What is wrong with rows of a log in SQLite whatever its records say. */
export function sqlOddities(sql: Pick<Sql, 'read'>): Finding[] {
  const keys = (query: string): string[] =>
    sql.read((all) => all(query, [])).map((row: SqlRow) => textIn(row.key) ?? '');
  return [
    ...otherTypes.flatMap(([table, query]) =>
      keys(query).map((key) => ({
        code: 'type_differs',
        message: `the row of ${key} in ${table} has a value of another type, which look-ups do not find`,
      })),
    ),
    ...astray.flatMap(([table, query]) =>
      keys(query).map((key) => ({
        code: `${table}_differs`,
        message: `the row of ${key} in ${table} is of nothing that is there`,
      })),
    ),
  ];
}
