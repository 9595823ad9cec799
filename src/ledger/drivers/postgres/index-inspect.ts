import type { IndexRow } from '../../query-index.ts';
import type { VerifyIndex } from '../../verify/source.ts';
import type { Param } from './connection.ts';
import { timesOf } from './index-times.ts';
import { arrayOf, cut, digestArrays, digestOf, rowColumns, storable } from './query-index.ts';

/** Rows of one log, which is $1. Rejects with StoreFault. */
type Ask = (text: string, ...params: Param[]) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** The index tables beside a log, beside whoever fills them. */
export function postgresVerifyIndex(schema: string, ask: Ask): VerifyIndex {
  /** How many of the rows that were compared have a fingerprint under each key. */
  const keys = new Map<string, number>();
  let counted = 0;

  function count(rows: readonly IndexRow[]): void {
    for (const { index, fingerprintKey: key } of rows)
      if (key !== undefined && index >= counted) keys.set(key, (keys.get(key) ?? 0) + 1);
    counted = Math.max(counted, (rows.at(-1)?.index ?? 0) + 1);
  }

  const given = (columns: readonly string[]): string =>
    `unnest(${columns.map((_, at) => `$${at + 2}::bigint[]`).join(', ')}) AS g(${columns.join(', ')})`;
  const [, , ...members] = rowColumns;
  const like = members.map((column) => `AND r.${column} IS NOT DISTINCT FROM g.${column}`).join(' ');
  const [from, to] = [rowColumns.length + 2, rowColumns.length + 3];
  const rowsNotThere = `SELECT g.idx FROM ${given(rowColumns)} WHERE NOT EXISTS (SELECT 1 FROM ${schema}.index_rows r
    WHERE r.log = $1 AND r.idx >= $${from} AND r.idx <= $${to} AND r.idx = g.idx AND r.time = g.time ${like})`;
  const timesNotThere = `SELECT g.first AS idx FROM ${given(['unit', 'at', 'first', 'last'])} WHERE NOT EXISTS
    (SELECT 1 FROM ${schema}.index_times t WHERE t.log = $1 AND t.unit = g.unit AND t.at = g.at AND t.first <= g.first AND t.last >= g.last)`;
  const namesNotThere = `SELECT g.idx FROM unnest($2::bigint[], $3::bigint[], $4::text[]) AS g(idx, digest, name) WHERE NOT EXISTS
    (SELECT 1 FROM ${schema}.index_names n WHERE n.log = $1 AND n.digest = g.digest AND n.name = g.name)`;

  return {
    seen: async () => Number((await ask(`SELECT seen FROM ${schema}.index_seen WHERE log = $1`))[0]?.seen ?? 0),
    async others(rows) {
      const [first, last] = [rows[0], rows.at(-1)];
      if (first === undefined || last === undefined) return [];
      count(rows);
      const places = [arrayOf(rows.map(({ index }) => index)), arrayOf(rows.map(({ time }) => time))];
      const times = timesOf(rows);
      const named = [...new Map(rows.flatMap(({ index, name }) => (name === undefined ? [] : [[name, index]])))];
      const found = [
        ...(await ask(rowsNotThere, ...places, ...digestArrays(rows), first.index, last.index)),
        ...(await ask(
          timesNotThere,
          ...(['unit', 'at', 'first', 'last'] as const).map((member) => arrayOf(times.map((span) => span[member]))),
        )),
        ...(await ask(
          namesNotThere,
          arrayOf(named.map(([, index]) => index)),
          arrayOf(named.map(([name]) => digestOf(name))),
          named.map(([name]) => cut(storable(name))),
        )),
      ].map(({ idx }) => idx as number);
      return [...new Set(found)].sort((one, other) => one - other);
    },
    async oddities() {
      const unseen = await ask(
        `SELECT r.idx FROM ${schema}.index_rows r WHERE r.log = $1
          AND (r.idx < 0 OR r.idx >= (SELECT seen FROM ${schema}.index_seen WHERE log = $1)) LIMIT 100`,
      );
      const fewer = await ask(
        `SELECT g.key FROM unnest($2::text[], $3::bigint[]) AS g(key, n) WHERE NOT EXISTS
          (SELECT 1 FROM ${schema}.index_keys k WHERE k.log = $1 AND k.key = g.key AND k.n >= g.n)`,
        [...keys.keys()],
        arrayOf([...keys.values()]),
      );
      return [
        ...unseen.map(({ idx }) => `the row of ${idx} of index_rows is of an entry that was not seen`),
        ...fewer.map(({ key }) => `the row of ${key} of index_keys counts fewer than the rows`),
      ];
    },
  };
}
