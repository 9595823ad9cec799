import { StoreFault } from '../../log-store.ts';
import type { Sql, SqlRow, SqlStatement, SqlValue } from '../../sql-log-store.ts';
import type { ObjectStorage } from './storage.ts';

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

  return {
    read: (work) => faulting(() => work(all)),
    async write(statements) {
      try {
        faulting(() => storage.transactionSync(() => statements.forEach(run)));
      } catch (error) {
        if (error instanceof Conflict) return 'conflict';
        throw error;
      }
      await storage.sync().catch((cause) => {
        throw new StoreFault('not_durable', { cause });
      });
      return 'done';
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
