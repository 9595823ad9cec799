import type { Deadline } from '../../../lib/deadline.ts';
import { StoreFault } from '../../log-store.ts';
import type { QueryIndex } from '../../query-index.ts';
import { indexSchema, moveNames } from '../../questions/sql-index-tables.ts';
import { sqlQueryIndex } from '../../questions/sql-query-index.ts';
import type { IndexSql, Sql } from '../../sql/sql.ts';
import type { ObjectStorage } from './storage.ts';

/** The index in the object's own storage, beside the log; its tables are made with the first question. */
export function objectIndex(storage: ObjectStorage, sql: Sql): QueryIndex {
  let made = false;

  function ready(deadline: Deadline): Sql {
    if (deadline.left() <= 0) throw new StoreFault('timeout');
    if (!made) makeTables(storage);
    made = true;
    return sql;
  }

  const index: IndexSql = {
    read: async (query, params, deadline) => ready(deadline).read((all) => all(query, params)),
    write: async (statements, deadline) => ready(deadline).write(statements, deadline),
    // The pages they leave are overwritten with the log's own, when all that is to be erased there is.
    scrub: async (deadline) => {
      await ready(deadline).write(moveNames, deadline);
    },
    close: async () => {},
  };
  return sqlQueryIndex(index, { run });
}

/** Positions of a run: few, as the object does nothing else while one is sealed. */
const run = 4_096;

/** Tables of an earlier version go: all in them comes from the log. */
function makeTables(storage: ObjectStorage): void {
  const known = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'index\\_%' ESCAPE '\\'";
  storage.transactionSync(() => {
    const tables = storage.sql.exec(known).toArray();
    if (tables.some(({ name }) => name === 'index_runs')) return;
    // What is freed in one go may be more than an erasure overwrites later.
    if (tables.some(({ name }) => name === 'index_words'))
      storage.sql.exec('UPDATE index_words SET value = CAST(zeroblob(length(CAST(value AS BLOB))) AS TEXT)');
    for (const { name } of tables) storage.sql.exec(`DROP TABLE ${String(name)}`);
    for (const statement of indexSchema) storage.sql.exec(statement);
  });
}
