import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import type { IndexFilter } from '../query-index.ts';
import type { IndexSql, SqlValue } from '../sql/sql.ts';
import { type NamePattern, namePattern } from './name-pattern.ts';
import { digestOf, keyOf } from './sql-index-rows.ts';
import { hashed, minute, minutesInDay } from './sql-index-tables.ts';

/** Above every position and every time. */
const end = 2 ** 50;
/** Names that one pattern is compared with. */
const mostNames = 50_000;
/** Sorts that are asked for by their numbers, and values that are looked for in each run. */
const mostSorts = 1_000;
const mostValues = 1_000;
/** What at least one row in so many holds is found sooner by looking through the rows. */
const common = 8;

/** How a filter is answered: between which positions, and what is looked for in the runs. */
export interface IndexPlan {
  readonly where: readonly string[];
  readonly params: readonly SqlValue[];
  /** Positions [from, before). */
  readonly from: number;
  readonly before: number;
  /** How many runs can be looked in. */
  readonly sealed: number;
  /** Values of index_runs, one of which a row must hold, and how many rows do. Absent: the rows are looked through. */
  readonly lead?: { readonly values: readonly number[]; readonly rows: number };
}

/** One condition. */
interface Term {
  readonly sql: string;
  readonly params: readonly SqlValue[];
  /** What to look for in the runs; absent where that is too much. */
  readonly values?: readonly number[];
  /** How many rows hold it; where nobody counts, none. */
  readonly rows: number;
  readonly first: number;
  readonly last: number;
}

/** How many positions the index has, and how many runs of them can be looked in. */
export async function readState(sql: IndexSql, deadline: Deadline): Promise<{ seen: number; sealed: number }> {
  const rows = await sql.read('SELECT seen, sealed FROM index_state WHERE one = 1', [], deadline);
  return rows[0] as { seen: number; sealed: number };
}

/** Undefined where nothing can fit. @throws Refusal invalid_request, StoreFault */
export async function planFor(
  sql: IndexSql,
  filter: IndexFilter,
  before: number,
  deadline: Deadline,
): Promise<IndexPlan | undefined> {
  const state = await readState(sql, deadline);
  const terms: Term[] = [];
  for (const member of hashed) {
    const value = filter[member];
    if (value === undefined) continue;
    const digest = digestOf(value);
    terms.push({ sql: `by_${member} = ?`, params: [digest], values: [digest], rows: 0, first: 0, last: end });
  }
  for (const find of [sortTerm, nameTerm]) {
    const found = await find(sql, filter, deadline);
    if (found === 'none') return undefined;
    if (found !== undefined) terms.push(found);
  }
  const times = await timesFor(sql, filter, state.seen, deadline);
  if (times === undefined) return undefined;
  // What the fewest rows hold is looked for, and the rest compared.
  const [best] = [...terms].sort((a, b) => a.rows - b.rows);
  const { values, rows = 0 } = best ?? {};
  const time = [
    ...(filter.from === undefined ? [] : [['time >= ?', filter.from] as const]),
    ...(filter.to === undefined ? [] : [['time < ?', filter.to] as const]),
  ];
  return {
    where: [...terms.map((one) => one.sql), ...time.map(([text]) => text)],
    params: [...terms.flatMap((one) => one.params), ...time.map(([, value]) => value)],
    from: Math.max(times.first, ...terms.map(({ first }) => first)),
    before: Math.min(before, times.last + 1, ...terms.map(({ last }) => last + 1)),
    sealed: state.sealed,
    ...(values !== undefined && rows * common <= state.seen && { lead: { values, rows } }),
  };
}

/** Of these: the numbers, how many rows they have and where. */
function termOf(column: string, found: readonly Counted[], inRuns: (id: number) => number): Term | 'none' {
  if (found.length === 0) return 'none';
  const ids = found.map(({ id }) => id);
  return {
    sql: ids.length === 1 ? `${column} = ?` : `${column} IN (SELECT value FROM json_each(?))`,
    params: [ids.length === 1 ? (ids[0] as number) : JSON.stringify(ids)],
    ...(ids.length <= mostValues && { values: ids.map(inRuns) }),
    rows: found.reduce((sum, { n }) => sum + n, 0),
    first: found.reduce((least, { first }) => Math.min(least, first), end),
    last: found.reduce((most, { last }) => Math.max(most, last), 0),
  };
}

interface Counted {
  readonly id: number;
  readonly n: number;
  readonly first: number;
  readonly last: number;
}

/** The members of a sort, those first by which the fewest are found. */
const bySorts = ['credential', 'grant', 'reason', 'issuer', 'store', 'kind', 'fingerprintKey', 'type'] as const;

async function sortTerm(sql: IndexSql, filter: IndexFilter, deadline: Deadline): Promise<Term | 'none' | undefined> {
  const asked = bySorts.filter((member) => filter[member] !== undefined);
  if (asked.length === 0) return undefined;
  const where = asked.map((member) => `s.by_${member} = ?`).join(' AND ');
  const params = asked.map((member) => filter[member] as string);
  const query = `SELECT id, n, first, last FROM index_sorts s INDEXED BY index_sorts_by_${asked[0]} WHERE ${where}
    LIMIT ${mostSorts + 1}`;
  const found = (await sql.read(query, params, deadline)) as unknown as readonly Counted[];
  if (found.length <= mostSorts) return termOf('by_sort', found, (id) => -2 * id);
  const one = `EXISTS (SELECT 1 FROM index_sorts s WHERE s.id = by_sort AND ${where})`;
  return { sql: one, params, rows: end, first: 0, last: end };
}

/** By all names that a pattern matches. @throws Refusal invalid_request where there are too many to look through */
async function nameTerm(sql: IndexSql, { name }: IndexFilter, deadline: Deadline): Promise<Term | 'none' | undefined> {
  if (name === undefined) return undefined;
  const pattern = namePattern(name);
  const names = pattern.exact
    ? await sql.read('SELECT id, n, first, last FROM index_names WHERE key = ?', [keyOf(name)], deadline)
    : await matching(sql, pattern, deadline);
  return termOf('by_name', names as unknown as readonly Counted[], (id) => -2 * id - 1);
}

async function matching(sql: IndexSql, pattern: NamePattern, deadline: Deadline) {
  const names = await sql.read(
    `SELECT id, value, n, first, last FROM index_names
       WHERE value >= ?1 AND value < ?1 || char(1114111) LIMIT ${mostNames + 1}`,
    [pattern.prefix],
    deadline,
  );
  if (names.length > mostNames)
    throw new Refusal('invalid_request', 'identity_too_broad', {
      detail: 'More names begin like that than one query looks through; let identity begin with more.',
    });
  return names.filter(({ value }) => pattern.matches(value as string));
}

/** Between which positions the times asked for lie; undefined where there are none. */
async function timesFor(
  sql: IndexSql,
  { from, to }: IndexFilter,
  seen: number,
  deadline: Deadline,
): Promise<{ first: number; last: number } | undefined> {
  if (from === undefined && to === undefined) return { first: 0, last: seen - 1 };
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
