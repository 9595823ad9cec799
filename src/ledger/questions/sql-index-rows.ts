import { sha256Url } from '../../lib/bytes.ts';
import type { IndexRow } from '../query-index.ts';
import type { SqlValue } from '../sql/sql.ts';
import { hashed, minute, minutesInDay, sorted } from './sql-index-tables.ts';

// All rows of a statement go into one parameter, as JSON: to hand them over one by one costs more than to write them.
const given = (count: number): string => Array.from({ length: count }, (_, at) => `j.value ->> ${at}`).join();

const addUp = 'DO UPDATE SET n = n + excluded.n, last = max(last, excluded.last)';

/** Of the rows of `sortsOf`. */
export const putSorts = `INSERT INTO index_sorts (key, ${sorted.map((member) => `by_${member}`).join()}, n, first, last)
  SELECT ${given(sorted.length + 4)} FROM json_each(?) j WHERE true ON CONFLICT (key) ${addUp}`;
/** Of the rows of `namesOf`. What was overwritten comes back. */
export const putNames = `INSERT INTO index_names (key, value, n, first, last)
  SELECT ${given(5)} FROM json_each(?) j WHERE true ON CONFLICT (key) ${addUp}, value = excluded.value`;
/** Of the rows of `timesOf`. */
export const putTimes = `INSERT INTO index_times SELECT ${given(4)} FROM json_each(?) j WHERE true
  ON CONFLICT (unit, at) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)`;
/** Of all `rowValues`. */
export const putRows = `INSERT INTO index_rows SELECT j.value ->> 0, j.value ->> 1,
  (SELECT id FROM index_sorts WHERE key = j.value ->> 2), (SELECT id FROM index_names WHERE key = j.value ->> 3),
  ${hashed.map((_, at) => `j.value ->> ${at + 4}`).join()} FROM json_each(?) j`;

/** What a value of a column is in index_runs: of sorts and names the numbers, told apart, and digests as they are. */
export const runValue = (column: string): string =>
  column === 'by_sort' ? '-2 * by_sort' : column === 'by_name' ? '-2 * by_name - 1' : column;

const columns = ['by_sort', 'by_name', ...hashed.map((member) => `by_${member}`)];

/** What stands where in a run, of positions [?2, ?3). Not with UNION: a Durable Object's SQLite takes five parts at most. */
export const runRows = `SELECT DISTINCT CASE c.value ${columns.map((column, at) => `WHEN ${at} THEN ${runValue(column)}`).join(' ')} END AS value,
      idx - CAST(?2 AS INTEGER) AS at
    FROM index_rows CROSS JOIN json_each('[${columns.map((_, at) => at).join()}]') c WHERE idx >= ?2 AND idx < ?3 ORDER BY 1, 2 DESC`;

/** Fills index_runs with run ?1, of these. */
export const sealRun = `INSERT INTO index_runs SELECT ?1, value, CASE count(*) WHEN 1 THEN min(at) ELSE json_group_array(at) END
  FROM (${runRows})
  WHERE value IS NOT NULL GROUP BY value`;

const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const digitOf = Array.from({ length: 128 }, (_, code) => digits.indexOf(String.fromCharCode(code)));

/** 47 bits of a value's SHA-256: six bytes in a row. What is found by it is looked at itself. */
export function digestOf(value: string): number {
  const hash = sha256Url(value);
  let number = (digitOf[hash.charCodeAt(0)] as number) >> 1;
  for (let at = 1; at < 8; at++) number = number * 64 + (digitOf[hash.charCodeAt(at)] as number);
  return number;
}

/** Under which a name or a sort is found. */
export const keyOf = (value: string): string => sha256Url(value).slice(0, 22);

/** A batch of rows as the statements above take it; empty where there is nothing. */
export interface Batch {
  readonly sorts: string;
  readonly names: string;
  readonly times: string;
  readonly rows: string;
}

/** What some rows have in common, how many they are and where. */
interface Counted {
  readonly values: readonly SqlValue[];
  n: number;
  readonly first: number;
  last: number;
}

/**
 * Each sort, name, minute and day of these rows once, with how many are of it and where; and the rows. At
 * the positions forgotten without what was disclosed.
 */
export function batchOf(rows: readonly IndexRow[], forgotten: ReadonlySet<number>): Batch {
  const [sorts, names] = [new Map<string, Counted>(), new Map<string, Counted>()];
  const units = [minute, minute * minutesInDay].map((unit) => ({ unit, spans: new Map<number, Counted>() }));
  const values = rows.map((given) => {
    const row = forgotten.has(given.index) ? { ...given, name: undefined, token: undefined } : given;
    const { index, time, name } = row;
    const members = sorted.map((member) => row[member] ?? null);
    const by = JSON.stringify(members);
    const sort = counted(sorts, by, index) ?? added(sorts, by, index, [keyOf(by), ...members]);
    const named =
      name === undefined ? undefined : (counted(names, name, index) ?? added(names, name, index, [keyOf(name), name]));
    for (const { unit, spans } of units) {
      const at = Math.floor(time / unit);
      if (counted(spans, at, index) === undefined) added(spans, at, index, [unit, at]);
    }
    const put: SqlValue[] = [
      index,
      time,
      sort.values[0] as string,
      named === undefined ? null : (named.values[0] as string),
    ];
    for (const member of hashed) put.push(row[member] === undefined ? null : digestOf(row[member]));
    return put;
  });
  const withCounts = (counts: Map<string, Counted>) =>
    [...counts.values()].map(({ values: own, n, first, last }) => [...own, n, first, last]);
  const times = units.flatMap(({ spans }) =>
    [...spans.values()].map(({ values: own, first, last }) => [...own, first, last]),
  );
  return {
    sorts: textOf(withCounts(sorts)),
    names: textOf(withCounts(names)),
    times: textOf(times),
    rows: textOf(values),
  };
}

function counted<K>(counts: Map<K, Counted>, by: K, index: number): Counted | undefined {
  const one = counts.get(by);
  if (one === undefined) return undefined;
  one.n++;
  one.last = index;
  return one;
}

function added<K>(counts: Map<K, Counted>, by: K, index: number, values: readonly SqlValue[]): Counted {
  const one = { values, n: 1, first: index, last: index };
  counts.set(by, one);
  return one;
}

const textOf = (values: readonly (readonly SqlValue[])[]): string =>
  values.length === 0 ? '' : JSON.stringify(values);
