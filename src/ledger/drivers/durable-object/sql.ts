import { StoreFault } from '../../log-store.ts';
import { blankStatement, type Sql, type SqlRow, type SqlStatement, type SqlValue } from '../../sql-log-store.ts';
import type { ObjectStorage } from './storage.ts';

/** More than the write-ahead log is ever long, which begins anew after 4 MB and a commit. */
const flushRows = 4;
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

  /** Writes the write-ahead log full twice: the first time it is moved into the file, the second time written anew. */
  async function flushLog(): Promise<void> {
    const rows = Array.from({ length: flushRows }, () => [flushBytes]);
    for (let time = 0; time < 2; time++) {
      await transaction(
        { sql: 'CREATE TABLE IF NOT EXISTS flush (bytes BLOB)', rows: [[]] },
        { sql: 'INSERT INTO flush VALUES (zeroblob(?))', rows },
      );
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
    // This SQLite takes no secure_delete, so what is to go is overwritten where it lies, by text of the same length; and in a
    // transaction of its own, as pages that are given up in the same one are not written. What reads entries takes such text for none.
    async blank(column) {
      const { table, column: name, key, keys } = column;
      const fill = `UPDATE ${table} SET ${name} = CAST(zeroblob(length(${name})) AS TEXT) WHERE ${key} = ?`;
      const blank = blankStatement(column);
      if (keys.length === 0) return flushLog();
      await transaction({ ...blank, sql: fill });
      await transaction(blank);
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
