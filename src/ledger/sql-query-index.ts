import type { Deadline } from '../lib/deadline.ts';
import { Refusal } from '../lib/refusal.ts';
import { StoreFault } from './log-store.ts';
import type { IndexFilter, IndexRow, QueryIndex } from './query-index.ts';
import { unavailable } from './queue.ts';
import type { IndexSql } from './sql.ts';
import { end, planFor, readSeen } from './sql-index-plan.ts';
import { putRows, putTime, putWord, rowValues, timesOf, wordsOf } from './sql-index-rows.ts';

/** How many positions one statement goes through, at first and at most, so that none keeps others waiting for long. */
const windows = { first: 65_536, most: 524_288 } as const;

const unused = "WHERE member = 'name' AND n <= 0";

/** An index in SQLite tables: a file's beside the log's, or a Durable Object's. */
export function sqlQueryIndex(sql: IndexSql): QueryIndex {
  async function add(given: readonly IndexRow[], from: number, to: number, deadline: Deadline): Promise<boolean> {
    const found = await sql.read('SELECT idx FROM index_forgotten WHERE idx >= ? AND idx < ?', [from, to], deadline);
    const forgotten = new Set(found.map((row) => row.idx as number));
    const rows = given.map((row) => (forgotten.has(row.index) ? { ...row, name: undefined, token: undefined } : row));
    const statements = [
      {
        sql: `UPDATE index_state SET seen = ?2 WHERE one = 1 AND seen = ?1
                AND (SELECT count(*) FROM index_forgotten WHERE idx >= ?1 AND idx < ?2) = ?3`,
        rows: [[from, to, forgotten.size]],
        changes: 1,
      },
      { sql: putWord, rows: wordsOf(rows) },
      { sql: putTime, rows: timesOf(rows) },
      { sql: putRows, rows: rows.length === 0 ? [] : [[JSON.stringify(rows.map(rowValues))]] },
      { sql: 'DELETE FROM index_forgotten WHERE idx < ?', rows: forgotten.size === 0 ? [] : [[to]] },
    ];
    return (
      (await sql.write(
        statements.filter((one) => one.rows.length > 0),
        deadline,
      )) === 'done'
    );
  }

  async function find(
    filter: IndexFilter,
    before: number,
    limit: number,
    deadline: Deadline,
  ): Promise<readonly number[]> {
    const asked = await planFor(sql, filter, before, deadline);
    const found: number[] = [];
    if (asked === undefined) return found;
    let span = asked.few ? end : windows.first;
    for (let high = asked.before; high > asked.from && found.length < limit; ) {
      const low = Math.max(asked.from, high - span);
      const params = [...asked.params, low, high, limit - found.length];
      const query = `SELECT idx FROM index_rows ${asked.by} WHERE ${[...asked.where, 'idx >= ?', 'idx < ?'].join(' AND ')}
        ORDER BY idx DESC LIMIT ?`;
      for (const row of await sql.read(query, params, deadline)) found.push(row.idx as number);
      high = low;
      span = Math.min(span * 2, asked.few ? end : windows.most);
    }
    return found;
  }

  async function forget(positions: readonly number[], deadline: Deadline): Promise<void> {
    const rows = positions.map((position) => [position]);
    await sql.write(
      [
        { sql: 'INSERT OR IGNORE INTO index_forgotten SELECT ?1 FROM index_state WHERE seen <= ?1', rows },
        {
          sql: 'UPDATE index_words SET n = n - 1 WHERE id = (SELECT by_name FROM index_rows WHERE idx = ?)',
          rows,
        },
        { sql: 'UPDATE index_rows SET by_name = NULL, by_token = NULL WHERE idx = ?', rows },
        {
          sql: `UPDATE index_words SET value = CAST(zeroblob(length(CAST(value AS BLOB))) AS TEXT) ${unused}`,
          rows: [[]],
        },
      ],
      deadline,
    );
    // Not in the same transaction: what is given up there is not written over.
    await sql.write([{ sql: `DELETE FROM index_words ${unused}`, rows: [[]] }], deadline);
    await sql.scrub(deadline);
  }

  async function clear(deadline: Deadline): Promise<void> {
    const tables = ['index_rows', 'index_words', 'index_times'].map((table) => ({
      sql: `DELETE FROM ${table}`,
      rows: [[]],
    }));
    await sql.write([...tables, { sql: 'UPDATE index_state SET seen = 0', rows: [[]] }], deadline);
  }

  async function fingerprintKeys(deadline: Deadline): Promise<Readonly<Record<string, number>>> {
    const query = "SELECT value, n FROM index_words WHERE member = 'fingerprintKey'";
    const rows = await sql.read(query, [], deadline);
    return Object.fromEntries(rows.map(({ value, n }) => [value as string, n as number]));
  }

  return {
    seen: (deadline) => answered(() => readSeen(sql, deadline)),
    add: (rows, from, to, deadline) => answered(() => add(rows, from, to, deadline)),
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
