import type { IndexRow } from '../query-index.ts';
import { batchOf, runRows } from '../questions/sql-index-rows.ts';
import { hashed, sorted } from '../questions/sql-index-tables.ts';
import { type Sql, type SqlValue, textColumn, textIn } from '../sql/sql.ts';
import type { VerifyIndex } from './source.ts';
import { isOtherType } from './stored.ts';

const sortColumns = sorted.map((member) => `by_${member}`);
const hashedColumns = hashed.map((member) => `by_${member}`);

const given = (at: number): string => `j.value ->> ${at}`;
/** That it covers all that lies from one of what is given to the next. */
const covers = (first: number): string => `t.first <= ${given(first)} AND t.last >= ${given(first + 1)}`;
const idOf = (table: string, key: number): string => `(SELECT id FROM ${table} WHERE key = ${given(key)})`;

/** Of what a `batchOf` has, the positions of that for which there is nothing like it in the tables; each takes its text. */
const notThere = {
  rows: `SELECT ${given(0)} AS idx FROM json_each(?) j WHERE NOT EXISTS (SELECT 1 FROM index_rows t WHERE t.idx = ${given(0)}
    AND t.time = ${given(1)} AND t.by_sort = ${idOf('index_sorts', 2)} AND t.by_name IS ${idOf('index_names', 3)}
    ${hashedColumns.map((column, at) => `AND t.${column} IS ${given(at + 4)}`).join(' ')})`,
  sorts: `SELECT ${given(sorted.length + 2)} AS idx FROM json_each(?) j WHERE NOT EXISTS (SELECT 1 FROM index_sorts t
    WHERE t.key = ${given(0)} ${sortColumns.map((column, at) => `AND t.${column} IS ${given(at + 1)}`).join(' ')}
      AND ${covers(sorted.length + 2)})`,
  names: `SELECT ${given(3)} AS idx FROM json_each(?) j WHERE NOT EXISTS (SELECT 1 FROM index_names t
    WHERE t.key = ${given(0)} AND t.value = ${given(1)} AND ${covers(3)})`,
  times: `SELECT ${given(2)} AS idx FROM json_each(?) j WHERE NOT EXISTS (SELECT 1 FROM index_times t
    WHERE t.unit = ${given(0)} AND t.at = ${given(1)} AND ${covers(2)})`,
} as const;

/** As of a log's tables: the key first. A number that is none would move what a question looks through. */
const columnTypes: Readonly<Record<string, string>> = {
  index_state: 'one integer, seen integer, sealed integer',
  index_sorts: 'id integer, n integer, first integer, last integer',
  index_names: 'id integer, key text, value text, n integer, first integer, last integer',
  index_rows: `idx integer, time integer, by_sort integer, by_name integer?, ${hashedColumns.map((column) => `${column} integer?`).join(', ')}`,
  index_times: 'at integer, unit integer, first integer, last integer',
};

const counted = (table: string, column: string): string =>
  `SELECT ${textColumn('t.id')} AS key FROM ${table} t LEFT JOIN (SELECT ${column} AS id, count(*) AS n FROM index_rows GROUP BY 1) r ON r.id = t.id
    WHERE t.n IS NOT coalesce(r.n, 0) LIMIT 100`;

/** What rows of a table must not be, with what to say of it. */
const astray: readonly (readonly [said: string, query: string])[] = [
  ...Object.entries(columnTypes).map(
    ([table, types]) =>
      [
        `of ${table} has a value of another type`,
        `SELECT ${textColumn(`t.${types.split(' ')[0]}`)} AS key FROM ${table} t WHERE ${isOtherType(types)} LIMIT 100`,
      ] as const,
  ),
  [
    'of index_state is another than the only one',
    `SELECT ${textColumn('one')} AS key FROM index_state WHERE one <> 1 LIMIT 100`,
  ],
  [
    'of index_rows is of an entry that was not seen',
    `SELECT ${textColumn('idx')} AS key FROM index_rows WHERE idx < 0 OR idx >= (SELECT seen FROM index_state WHERE one = 1) LIMIT 100`,
  ],
  [
    'of index_runs is of a run that was not sealed',
    `SELECT ${textColumn('run')} AS key FROM index_runs WHERE run < 0 OR run >= (SELECT sealed FROM index_state WHERE one = 1) LIMIT 100`,
  ],
  ['of index_sorts counts other than the rows', counted('index_sorts', 'by_sort')],
  ['of index_names counts other than the rows', counted('index_names', 'by_name')],
];

const kept = `SELECT value, CASE typeof(at) WHEN 'integer' THEN '[' || at || ']' ELSE at END FROM index_runs WHERE run = ?1`;
const implied = `SELECT value, json_group_array(at) FROM (${runRows}) WHERE value IS NOT NULL GROUP BY value`;
/** Whether what is found by run ?1, of positions [?2, ?3), is not what the rows say, in their order. */
const runDiffers = `SELECT 1 FROM (SELECT * FROM (${kept}) EXCEPT SELECT * FROM (${implied})) UNION ALL
  SELECT 1 FROM (SELECT * FROM (${implied}) EXCEPT SELECT * FROM (${kept})) LIMIT 1`;

/** The tables of an index in SQLite, beside whoever fills them; `run`: positions of a run. */
export function sqlVerifyIndex(sql: Pick<Sql, 'read'>, run: number): VerifyIndex {
  const rows = (query: string, params: readonly SqlValue[] = []) => sql.read((all) => all(query, params));
  const state = () => {
    const [row] = rows('SELECT seen, sealed FROM index_state WHERE one = 1');
    return { seen: Number(row?.seen ?? 0), sealed: Number(row?.sealed ?? 0) };
  };

  function runsThatDiffer(): string[] {
    const { seen, sealed } = state();
    const full = Math.floor(seen / run);
    const found = sealed > full ? [`the index says that ${sealed} runs are sealed, and ${full} are full`] : [];
    for (let at = 0; at < Math.min(sealed, full) && found.length < 100; at++)
      if (rows(runDiffers, [at, at * run, (at + 1) * run]).length > 0)
        found.push(`by run ${at} of the index others are found than its rows are`);
    return found;
  }

  return {
    seen: async () => state().seen,
    async others(given: readonly IndexRow[]) {
      const batch = batchOf(given, new Set());
      const found = sql.read((all) =>
        (['rows', 'sorts', 'names', 'times'] as const).flatMap((part) =>
          batch[part] === '' ? [] : all(notThere[part], [batch[part]]).map(({ idx }) => idx as number),
        ),
      );
      return [...new Set(found)].sort((one, other) => one - other);
    },
    async oddities() {
      const found = astray.flatMap(([said, query]) =>
        rows(query).map(({ key }) => `the row of ${textIn(key)} ${said}`),
      );
      return [...found, ...runsThatDiffer()];
    },
  };
}
