import { sha256 } from '../../../lib/bytes.ts';
import type { Deadline } from '../../../lib/deadline.ts';
import { HeadMoved, StoreFault } from '../../log-store.ts';
import type { IndexFilter, IndexRow, QueryIndex } from '../../query-index.ts';
import { namePattern } from '../../questions/name-pattern.ts';
import { unavailable } from '../../unavailable.ts';
import type { Param, Request } from './connection.ts';
import { spansOf, timesOf } from './index-times.ts';
import type { Lane } from './lane.ts';
import { columnOf, indexMembers } from './tables.ts';

/** Positions added by one statement, whose commit waits for the disk. */
const batch = 1_024;
/** So many names are each looked up by themselves; for more, rows are read newest first until enough fit. */
const fewNames = 200;

/** The query index in tables beside the log. */
export function postgresIndex(lane: Lane, schema: string, log: number): QueryIndex {
  const failed = (error: unknown): never => {
    throw unavailable(`index_${error instanceof StoreFault ? error.reason : 'contended'}`, error);
  };
  const ask = (text: string, params: readonly Param[], deadline: Deadline) =>
    lane.run({ text }, [log, ...params], deadline, { again: true }).catch(failed);
  const rowsTable = `${schema}.index_rows`;
  const names = `${schema}.index_names`;

  async function add(given: readonly IndexRow[], from: number, to: number, deadline: Deadline): Promise<boolean> {
    const state = `SELECT seen, forgets, (SELECT json_agg(f.idx) FROM ${schema}.index_forgotten f
      WHERE f.log = $1 AND f.idx >= $2 AND f.idx < $3) AS forgotten FROM ${schema}.index_seen WHERE log = $1`;
    const [row] = await ask(state, [from, to], deadline);
    if (row === undefined || row.seen !== from) return false;
    const forgotten = new Set((row.forgotten ?? []) as number[]);
    const rows = given.map((one) => (forgotten.has(one.index) ? { ...one, name: undefined, token: undefined } : one));
    const params: Param[] = [from, to, row.forgets as number, ...addedArrays(rows)];
    try {
      return (await lane.run({ text: addStatement(schema) }, [log, ...params], deadline))[0]?.moved === 1;
    } catch (error) {
      if (error instanceof HeadMoved) return false;
      throw unavailable(`index_${error instanceof StoreFault ? error.reason : 'add'}`, error);
    }
  }

  /** Adds what a name must be to a question; undefined where nothing can fit. */
  async function namedAs(pattern: string, asked: Asked, deadline: Deadline): Promise<Asked | undefined> {
    const named = namePattern(storable(pattern));
    if (named.exact) return { ...asked, names: [digestOf(pattern)] };
    const prefix = cut(named.prefix);
    const matching = regexOf(storable(pattern));
    const sql = `SELECT n.digest::text AS digest FROM ${names} n WHERE n.log = $1 AND n.name >= $2 AND n.name < $3
      AND ${fitting('$4')} LIMIT ${fewNames + 1}`;
    const digests = (await ask(sql, [prefix, `${prefix}\u{10ffff}`, matching], deadline)).map(
      ({ digest }) => digest as string,
    );
    if (digests.length === 0) return undefined;
    return { ...asked, ...(digests.length > fewNames ? { matching } : { names: digests }) };
  }

  /** Between which positions the times asked for lie; undefined where there are none. */
  async function positionsOf(filter: IndexFilter, before: number, deadline: Deadline): Promise<Asked | undefined> {
    const spans = spansOf(filter);
    if (spans === undefined) return { first: 0, end: before };
    const sql = `SELECT min(t.first) AS first, max(t.last) AS last FROM unnest($2::integer[], $3::bigint[], $4::bigint[])
      AS s(unit, since, until), LATERAL (SELECT min(t.first) AS first, max(t.last) AS last FROM ${schema}.index_times t
        WHERE t.log = $1 AND t.unit = s.unit AND t.at >= s.since AND t.at < s.until) t`;
    const columns = [0, 1, 2].map((column) => spans.map((span) => span[column] as number));
    const [row] = await ask(sql, columns, deadline);
    if (typeof row?.first !== 'number') return undefined;
    return { first: row.first, end: Math.min(before, (row.last as number) + 1) };
  }

  async function find(filter: IndexFilter, before: number, limit: number, deadline: Deadline) {
    const positions = await positionsOf(filter, before, deadline);
    const asked =
      filter.name === undefined || positions === undefined
        ? positions
        : await namedAs(filter.name, positions, deadline);
    if (asked === undefined) return [];
    const params: Param[] = [asked.first, asked.end, limit];
    const where = ['r.log = $1 AND r.idx >= $2 AND r.idx < $3', ...conditionsOf(filter, params)].join(' AND ');
    return (await ask(questionOf(where, asked, params), params, deadline)).map(({ idx }) => idx as number);
  }

  const newest = 'ORDER BY r.idx DESC LIMIT $4';

  function questionOf(where: string, { names: digests, matching }: Asked, params: Param[]): string {
    const rows = `SELECT r.idx FROM ${rowsTable} r WHERE ${where}`;
    if (matching !== undefined) {
      const fits = `(SELECT ${fitting(`$${params.push(matching) + 1}`)} FROM ${names} n WHERE n.log = $1 AND n.digest = r.by_name)`;
      return `${rows} AND ${fits} ${newest}`;
    }
    if (digests === undefined) return `${rows} ${newest}`;
    const given = `$${params.push(digests) + 1}::bigint[]`;
    return `SELECT f.idx FROM unnest(${given}) AS n(name), LATERAL (${rows} AND r.by_name = n.name ${newest}) f
      ORDER BY f.idx DESC LIMIT $4`;
  }

  /** In one transaction that nobody adds beside: what is added before is seen by it, and what comes after begins again. */
  async function alone(statements: readonly Required<Request>[], deadline: Deadline): Promise<void> {
    const begin = `BEGIN; SELECT 1 FROM ${schema}.index_seen WHERE log = ${log} FOR UPDATE`;
    const all = [{ statement: { text: begin } }, ...statements, { statement: { text: 'COMMIT' } }];
    await lane.runAll(all, deadline).catch(failed);
  }

  async function forget(positions: readonly number[], deadline: Deadline): Promise<void> {
    const told = `WITH told AS (UPDATE ${schema}.index_seen SET forgets = forgets + 1 WHERE log = $1 RETURNING 1)
      INSERT INTO ${schema}.index_forgotten SELECT $1::integer, idx FROM unnest($2::bigint[]) AS given(idx)
       WHERE EXISTS (SELECT 1 FROM told) ON CONFLICT DO NOTHING`;
    const there = `r.log = $1 AND r.idx = ANY($2::bigint[])`;
    const gone = `WITH gone AS (SELECT DISTINCT r.by_name AS digest FROM ${rowsTable} r WHERE ${there} AND r.by_name IS NOT NULL),
      names_out AS (DELETE FROM ${schema}.index_names n WHERE n.log = $1 AND n.digest IN (SELECT digest FROM gone)
        AND NOT EXISTS (SELECT 1 FROM ${rowsTable} r WHERE r.log = $1 AND r.by_name = n.digest AND r.idx <> ALL($2::bigint[]))),
      known AS (DELETE FROM ${schema}.index_forgotten f WHERE f.log = $1 AND f.idx = ANY($2::bigint[])
        AND f.idx < (SELECT seen FROM ${schema}.index_seen WHERE log = $1))
      UPDATE ${rowsTable} r SET by_name = NULL, by_token = NULL WHERE ${there}`;
    const params = [log, positions];
    await alone(
      [told, gone].map((text) => ({ statement: { text }, params })),
      deadline,
    );
  }

  async function clear(deadline: Deadline): Promise<void> {
    const tables = ['index_rows', 'index_names', 'index_times', 'index_keys'];
    const text = `WITH ${tables.map((table) => `${table}_out AS (DELETE FROM ${schema}.${table} WHERE log = $1)`).join(', ')}
      UPDATE ${schema}.index_seen SET seen = 0 WHERE log = $1`;
    await alone([{ statement: { text }, params: [log] }], deadline);
  }

  return {
    batch,
    async seen(deadline) {
      const [row] = await ask(`SELECT seen FROM ${schema}.index_seen WHERE log = $1`, [], deadline);
      return (row?.seen as number | undefined) ?? 0;
    },
    add,
    find,
    forget,
    clear,
    async fingerprintKeys(deadline) {
      const rows = await ask(`SELECT key, n FROM ${schema}.index_keys WHERE log = $1`, [], deadline);
      return Object.fromEntries(rows.map(({ key, n }) => [key as string, n as number]));
    },
  };
}

/** What is asked of the rows beside their members: positions [first, end), and names by digest or by pattern. */
interface Asked {
  readonly first: number;
  readonly end: number;
  readonly names?: readonly string[];
  /** A regular expression. */
  readonly matching?: string;
}

/** As namePattern matches: a star is one or more characters of one segment. */
const regexOf = (pattern: string): string =>
  `^${pattern
    .split('*')
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    .join('[^:/]+')}$`;

/** PostgreSQL's text has no NUL: a name that a writer put one into must not keep all that comes after it out of the index. */
export const storable = (name: string): string => name.replaceAll('\0', '\ufffd');

/** Bytes of a name by which it is found: a row of an index has 2,704 at most. */
const nameBytes = 2_000;

/** A name as it is kept: one that is longer ends sooner, at the end of a character. */
export function cut(name: string): string {
  const bytes = Buffer.from(name);
  if (bytes.length <= nameBytes) return name;
  let end = nameBytes;
  while (((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

/** A name that was cut may fit: whoever asked looks at the entry itself. */
const fitting = (pattern: string): string => `(n.name ~ ${pattern} OR octet_length(n.name) > ${nameBytes - 4})`;

/** 8 bytes of a value's SHA-256, as PostgreSQL's bigint. */
export const digestOf = (value: string): string => (sha256(value) as Buffer).readBigInt64BE(0).toString();

/** What a row must be, as conditions on `r`; adds to `params`, whose first is $2. */
function conditionsOf({ from, to, name: _, ...members }: IndexFilter, params: Param[]): string[] {
  const param = (value: string | number): string => `$${params.push(value) + 1}`;
  return [
    ...(from === undefined ? [] : [`r.time >= ${param(from)}`]),
    ...(to === undefined ? [] : [`r.time < ${param(to)}`]),
    ...indexMembers.flatMap((member) => {
      const value = (members as Record<string, string | undefined>)[member];
      return value === undefined ? [] : [`r.${columnOf(member)} = ${param(digestOf(value))}::bigint`];
    }),
  ];
}

export const rowColumns = ['idx', 'time', ...indexMembers.map(columnOf)];

/** Params from $5 on, each column as the text of an array: to have them written by others costs more. */
function addedArrays(rows: readonly IndexRow[]): Param[] {
  const times = timesOf(rows);
  const names = [...new Set(rows.map(({ name }) => name).filter((name) => name !== undefined))];
  const keys = new Map<string, number>();
  for (const { fingerprintKey: key } of rows) if (key !== undefined) keys.set(key, (keys.get(key) ?? 0) + 1);
  // Most members have few values.
  const digests = new Map<string, string>();
  const digest = (value: string): string => {
    const known = digests.get(value) ?? digestOf(value);
    digests.set(value, known);
    return known;
  };
  return [
    arrayOf(names.map(digest)),
    names.map((name) => cut(storable(name))),
    [...keys.keys()],
    arrayOf([...keys.values()]),
    ...(['unit', 'at', 'first', 'last'] as const).map((member) => arrayOf(times.map((span) => span[member]))),
    arrayOf(rows.map(({ index }) => index)),
    arrayOf(rows.map(({ time }) => time)),
    ...digestArrays(rows, digest),
  ];
}

/** Of each member, the digests of these rows. */
export const digestArrays = (rows: readonly IndexRow[], digest = digestOf): Param[] =>
  indexMembers.map((member) =>
    arrayOf(rows.map(({ [member]: value }) => (value === undefined ? 'NULL' : digest(value)))),
  );

export const arrayOf = (numbers: readonly (number | string)[]): string => `{${numbers.join()}}`;

function addStatement(schema: string): string {
  let at = 5;
  const put = (table: string, columns: readonly string[], types: readonly string[], onConflict = '') => {
    const given = types.map((type) => `$${at++}::${type}[]`).join(', ');
    return `${table}_in AS (INSERT INTO ${schema}.${table} (log, ${columns.join(', ')})
      SELECT $1::integer, ${columns.join(', ')} FROM unnest(${given}) AS added(${columns.join(', ')})
       WHERE EXISTS (SELECT 1 FROM moved) ${onConflict})`;
  };
  const bigints = (columns: readonly string[]) => columns.map(() => 'bigint');
  const parts = [
    put('index_names', ['digest', 'name'], ['bigint', 'text'], 'ON CONFLICT DO NOTHING'),
    put(
      'index_keys',
      ['key', 'n'],
      ['text', 'bigint'],
      'ON CONFLICT (log, key) DO UPDATE SET n = index_keys.n + excluded.n',
    ),
    put(
      'index_times',
      ['unit', 'at', 'first', 'last'],
      ['integer', 'bigint', 'bigint', 'bigint'],
      `ON CONFLICT (log, unit, at) DO UPDATE SET first = least(index_times.first, excluded.first),
         last = greatest(index_times.last, excluded.last)`,
    ),
    put('index_rows', rowColumns, bigints(rowColumns)),
  ];
  return `WITH moved AS (UPDATE ${schema}.index_seen SET seen = $3 WHERE log = $1 AND seen = $2 AND forgets = $4 RETURNING 1),
    ${parts.join(', ')}, known AS (DELETE FROM ${schema}.index_forgotten WHERE log = $1 AND idx >= $2 AND idx < $3
      AND EXISTS (SELECT 1 FROM moved))
    SELECT count(*) AS moved FROM moved`;
}
