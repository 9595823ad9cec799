import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { StoreFault } from '../log-store.ts';
import type { IndexFilter, IndexRow, QueryIndex } from '../query-index.ts';
import type { IndexSql, SqlValue } from '../sql/sql.ts';
import { unavailable } from '../unavailable.ts';
import { type IndexPlan, planFor, readState } from './sql-index-plan.ts';
import { type Batch, batchOf, putNames, putRows, putSorts, putTimes, runValue, sealRun } from './sql-index-rows.ts';
import { builtTables } from './sql-index-tables.ts';

/** How many positions one statement looks through, at first and at most, so that none keeps others waiting for long. */
const windows = { first: 32_768, most: 262_144 } as const;
/** Rows that one statement looks up at most, about; at first, for each that is wanted; and the runs it looks in then, at most. */
const lookedUp = 20_000;
const enough = 2;
const firstRuns = 64;

const unused = 'WHERE n <= 0';

/** Reads positions [from, to) of the log, elsewhere than here. Rejects with StoreFault. */
export type BatchReading = (
  from: number,
  to: number,
  forgotten: ReadonlySet<number>,
  deadline: Deadline,
) => Promise<Batch>;

export interface SqlIndexParts {
  /** Positions of a run; never changes. */
  readonly run: number;
  /** See QueryIndex. */
  readonly batch?: number;
  readonly reading?: BatchReading | undefined;
}

/** An index in SQLite tables: a file's beside the log's, or a Durable Object's. */
export function sqlQueryIndex(sql: IndexSql, { run, batch, reading }: SqlIndexParts): QueryIndex {
  async function forgottenIn(from: number, to: number, deadline: Deadline): Promise<ReadonlySet<number>> {
    const found = await sql.read('SELECT idx FROM index_forgotten WHERE idx >= ? AND idx < ?', [from, to], deadline);
    return new Set(found.map((row) => row.idx as number));
  }

  async function add(rows: readonly IndexRow[], from: number, to: number, deadline: Deadline): Promise<boolean> {
    const forgotten = await forgottenIn(from, to, deadline);
    return put(batchOf(rows, forgotten), forgotten.size, from, to, deadline);
  }

  async function read(given: BatchReading, from: number, to: number, deadline: Deadline): Promise<boolean> {
    const forgotten = await forgottenIn(from, to, deadline);
    return put(await given(from, to, forgotten, deadline), forgotten.size, from, to, deadline);
  }

  /** Nothing where more positions were forgotten meanwhile. */
  async function put(batch: Batch, forgotten: number, from: number, to: number, deadline: Deadline): Promise<boolean> {
    const given = (text: string) => (text === '' ? [] : [[text]]);
    const statements = [
      {
        sql: `UPDATE index_state SET seen = ?2 WHERE one = 1 AND seen = ?1
                AND (SELECT count(*) FROM index_forgotten WHERE idx >= ?1 AND idx < ?2) = ?3`,
        rows: [[from, to, forgotten]],
        changes: 1,
      },
      { sql: putSorts, rows: given(batch.sorts) },
      { sql: putNames, rows: given(batch.names) },
      { sql: putTimes, rows: given(batch.times) },
      { sql: putRows, rows: given(batch.rows) },
      { sql: 'DELETE FROM index_forgotten WHERE idx < ?', rows: forgotten === 0 ? [] : [[to]] },
    ];
    const filled = statements.filter((one) => one.rows.length > 0);
    if ((await sql.write(filled, deadline)) === 'conflict') return false;
    if (Math.floor(from / run) < Math.floor(to / run)) await seal(deadline);
    return true;
  }

  /** Any run that it does not get to is looked through until the next one is full. */
  async function seal(deadline: Deadline): Promise<void> {
    const { seen, sealed } = await readState(sql, deadline);
    for (let next = sealed; (next + 1) * run <= seen && deadline.left() > 0; next++) {
      const state = 'UPDATE index_state SET sealed = ?1 + 1 WHERE one = 1 AND sealed = ?1 AND seen >= ?2';
      const statements = [
        { sql: state, rows: [[next, (next + 1) * run]], changes: 1 },
        { sql: sealRun, rows: [[next, next * run, (next + 1) * run]] },
      ];
      if ((await sql.write(statements, deadline)) === 'conflict') return;
    }
  }

  async function find(
    filter: IndexFilter,
    before: number,
    limit: number,
    deadline: Deadline,
  ): Promise<readonly number[]> {
    const asked = await planFor(sql, filter, before, deadline);
    if (asked === undefined) return [];
    const { lead, sealed, from, where, params } = asked;
    const found: number[] = [];
    /** All above is found. */
    let high = asked.before;

    async function take(query: string, given: readonly SqlValue[], low: number): Promise<void> {
      const all = [...given, ...params, low, high, limit - found.length];
      for (const row of await sql.read(query, all, deadline)) found.push(row.idx as number);
      high = low;
    }

    async function lookThrough(least: number): Promise<void> {
      const query = `SELECT idx FROM index_rows WHERE ${[...where, 'idx >= ?', 'idx < ?'].join(' AND ')}
        ORDER BY idx DESC LIMIT ?`;
      for (let span: number = windows.first; high > least && found.length < limit; ) {
        await take(query, [], Math.max(least, high - span));
        span = Math.min(span * 2, windows.most);
      }
    }

    async function lookUp({ values, rows }: NonNullable<IndexPlan['lead']>): Promise<void> {
      // One value stands in order by itself: the last run first, and the last place in each.
      const order = values.length === 1 ? '' : 'ORDER BY r.idx DESC';
      const query = `SELECT r.idx FROM json_each(?) g CROSS JOIN json_each(?) v
        CROSS JOIN index_runs i ON i.run = g.value AND i.value = v.value CROSS JOIN json_each(i.at) a
        CROSS JOIN index_rows r ON r.idx = g.value * ${run} + a.value
        WHERE ${[...where, 'r.idx >= ?', 'r.idx < ?'].join(' AND ')} ${order} LIMIT ?`;
      const most = Math.ceil(lookedUp / Math.max(1, rows / sealed, values.length));
      // As if nothing else were asked; more from then on.
      const first = Math.ceil((enough * limit * sealed) / Math.max(1, rows));
      for (let count = Math.min(first, firstRuns, most); high > from && found.length < limit; ) {
        const last = Math.ceil(high / run) - 1;
        const least = Math.max(Math.floor(from / run), last - count + 1);
        const runs = Array.from({ length: last - least + 1 }, (_, at) => last - at);
        await take(query, [JSON.stringify(runs), JSON.stringify(values)], Math.max(from, least * run));
        count = Math.min(count * 2, most);
      }
    }

    if (lead !== undefined) {
      // What is in no run yet.
      await lookThrough(Math.max(from, sealed * run));
      if (high > from) await lookUp(lead);
    } else await lookThrough(from);
    return found;
  }

  async function forget(positions: readonly number[], deadline: Deadline): Promise<void> {
    const once = [...new Set(positions)];
    const rows = once.map((position) => [position]);
    const places = once.map((position) => [position, Math.floor(position / run), position % run]);
    // Of the name and the token of a row, in its run.
    const said = `run = ?2 AND value IN (SELECT ${runValue('by_name')} FROM index_rows WHERE idx = ?1
      UNION ALL SELECT by_token FROM index_rows WHERE idx = ?1)`;
    await sql.write(
      [
        { sql: 'INSERT OR IGNORE INTO index_forgotten SELECT ?1 FROM index_state WHERE seen <= ?1', rows },
        {
          sql: 'UPDATE index_names SET n = n - 1 WHERE id = (SELECT by_name FROM index_rows WHERE idx = ?)',
          rows,
        },
        {
          sql: `UPDATE index_runs SET at = (SELECT json_group_array(a.value) FROM json_each(index_runs.at) a WHERE a.value <> ?3)
            WHERE ${said}`,
          rows: places,
        },
        {
          sql: `DELETE FROM index_runs WHERE ${said} AND at = '[]'`,
          rows: places.map(([position, at]) => [position, at] as SqlValue[]),
        },
        { sql: 'UPDATE index_rows SET by_name = NULL, by_token = NULL WHERE idx = ?', rows },
        {
          sql: `UPDATE index_names SET value = CAST(zeroblob(length(CAST(value AS BLOB))) AS TEXT) ${unused}`,
          rows: [[]],
        },
      ],
      deadline,
    );
    // Not in the same transaction: what is given up there is not written over.
    await sql.write([{ sql: `DELETE FROM index_names ${unused}`, rows: [[]] }], deadline);
    await sql.scrub(deadline);
  }

  async function clear(deadline: Deadline): Promise<void> {
    const tables = builtTables.map((table) => ({ sql: `DELETE FROM ${table}`, rows: [[]] }));
    await sql.write([...tables, { sql: 'UPDATE index_state SET seen = 0, sealed = 0', rows: [[]] }], deadline);
  }

  async function fingerprintKeys(deadline: Deadline): Promise<Readonly<Record<string, number>>> {
    const query = `SELECT by_fingerprintKey AS key, sum(n) AS n FROM index_sorts WHERE by_fingerprintKey IS NOT NULL GROUP BY 1`;
    const rows = await sql.read(query, [], deadline);
    return Object.fromEntries(rows.map(({ key, n }) => [key as string, n as number]));
  }

  async function timeAt(position: number, deadline: Deadline): Promise<number | undefined> {
    const [row] = await sql.read('SELECT time FROM index_rows WHERE idx = ?', [position], deadline);
    return row?.time as number | undefined;
  }

  return {
    ...(batch !== undefined && { batch }),
    timeAt: (position, deadline) => answered(() => timeAt(position, deadline)),
    seen: (deadline) => answered(async () => (await readState(sql, deadline)).seen),
    add: (rows, from, to, deadline) => answered(() => add(rows, from, to, deadline)),
    ...(reading !== undefined && {
      read: (from, to, deadline) => answered(() => read(reading, from, to, deadline)),
    }),
    find: (filter, before, limit, deadline) => answered(() => find(filter, before, limit, deadline)),
    forget: (positions, deadline) => answered(() => forget(positions, deadline)),
    clear: (deadline) => answered(() => clear(deadline)),
    fingerprintKeys: (deadline) => answered(() => fingerprintKeys(deadline)),
    close: () => sql.close(),
  };
}

async function answered<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw unavailable(error instanceof StoreFault ? `index_${error.reason}` : 'index', error);
  }
}
