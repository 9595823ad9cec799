import { StoreFault } from '../../log-store.ts';
import type { Sql, SqlRow, SqlStatement, SqlValue } from '../../sql/sql.ts';
import type { ObjectStorage } from './storage.ts';

/** At least more than the write-ahead log is ever long, which begins anew after 4 MB and a commit; at most 190 MB. */
const flushRows = 4;
const mostFlushRows = 100;
const flushBytes = 1_900_000;

class Conflict extends Error {}

/**
 * The object's SQLite as a log uses it. A batch is one synchronous transaction, so nothing can come in between; it is
 * durable once `sync` resolves, and until then the runtime holds back every answer of the object.
 */
export function objectSql(storage: ObjectStorage): Sql {
  const all = (sql: string, params: readonly SqlValue[]): readonly SqlRow[] =>
    storage.sql
      .exec(sql, ...params)
      .toArray()
      .map(withBytes);

  function run({ sql, rows, changes }: SqlStatement): void {
    for (const row of rows) {
      all(sql, row);
      if (changes !== undefined && all('SELECT changes() AS n', [])[0]?.n !== changes) throw new Conflict();
    }
  }

  const durable = (): Promise<void> =>
    storage.sync().catch((cause) => {
      throw new StoreFault('not_durable', { cause });
    });

  async function transaction(...statements: readonly SqlStatement[]): Promise<void> {
    faulting(() => storage.transactionSync(() => statements.forEach(run)));
    await durable();
  }

  /** Fills every page that was given up; and the write-ahead log twice, which is moved into the file once it is full. */
  async function flush(): Promise<void> {
    for (let time = 0; time < 2; time++) {
      await transaction({ sql: 'CREATE TABLE IF NOT EXISTS flush (bytes BLOB)', rows: [[]] });
      for (let row = 0, grows = false; row < mostFlushRows && (row < flushRows || !grows); row++) {
        const before = storage.sql.databaseSize;
        await transaction({ sql: 'INSERT INTO flush VALUES (zeroblob(?))', rows: [[flushBytes]] });
        // The whole row took new pages: there are no others left.
        grows = storage.sql.databaseSize - before >= flushBytes;
      }
      await transaction({ sql: 'DROP TABLE flush', rows: [[]] });
    }
  }

  return {
    read: (work) => faulting(() => work(all)),
    async write(statements) {
      try {
        await transaction(...statements);
        return 'done';
      } catch (error) {
        if (error instanceof Conflict) return 'conflict';
        throw error;
      }
    },
    // This SQLite takes no secure_delete, so what is to go is overwritten where it lies, by text of the same length that
    // whoever reads takes for none. It stays: a row that shrinks makes SQLite move its neighbours, and leave copies of them.
    async blank({ table, column, key, keys, copies = [] }) {
      if (keys.length === 0) return flush();
      const fill = `UPDATE ${table} SET ${column} = CAST(zeroblob(length(CAST(${column} AS BLOB))) AS TEXT) WHERE ${key} = ?`;
      await transaction({ sql: fill, rows: keys.map((one) => [one]) }, ...copies);
    },
    // A storage that lost a write resets its object, which then opens anew by itself.
    reopen: async () => {},
    close: async () => {},
  };
}

function faulting<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw cause instanceof Conflict || cause instanceof StoreFault ? cause : new StoreFault('sql_failed', { cause });
  }
}

function withBytes(row: Record<string, unknown>): SqlRow {
  for (const [name, value] of Object.entries(row)) if (value instanceof ArrayBuffer) row[name] = new Uint8Array(value);
  return row;
}
