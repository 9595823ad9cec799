import type { Deadline } from '../lib/deadline.ts';
import { Refusal } from '../lib/refusal.ts';
import { type NamePattern, namePattern } from './name-pattern.ts';
import type { IndexFilter } from './query-index.ts';
import type { IndexSql, SqlValue } from './sql.ts';
import { digestOf, keyOf } from './sql-index-rows.ts';
import { hashed, minute, minutesInDay, worded } from './sql-index-tables.ts';

/** Above every position and every time. */
export const end = 2 ** 50;
/** Names that one pattern is compared with. */
const mostNames = 50_000;
/** Of a value with no more rows than this, all are looked at in one go. */
const fewRows = 50_000;

/** How a filter is answered: through which index, and between which positions. */
export interface IndexPlan {
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

/** Undefined where nothing can fit. @throws Refusal invalid_request, StoreFault */
export async function planFor(
  sql: IndexSql,
  filter: IndexFilter,
  before: number,
  deadline: Deadline,
): Promise<IndexPlan | undefined> {
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

/** How many positions the index has. */
export async function readSeen(sql: IndexSql, deadline: Deadline): Promise<number> {
  const rows = await sql.read('SELECT seen FROM index_state WHERE one = 1', [], deadline);
  return rows[0]?.seen as number;
}
