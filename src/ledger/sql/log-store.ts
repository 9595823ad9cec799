import { HeadMoved, type LogStore } from '../log-store.ts';
import { statementsOf, textStatement } from './commit.ts';
import { sqlReads } from './reads.ts';
import type { Sql, SqlStatement } from './sql.ts';

/** More than the table's first page can hold. */
const firstRows = 16;
/** Pages that one page can list. */
const fillRows = 600;
const fillFrom = Number.MAX_SAFE_INTEGER - fillRows;

/**
 * When the first page of `entries` is full, its rows move, and the page goes on as a list of pages: with copies of those rows
 * in it, until so many pages are listed that nothing of them is left. This makes it list as many, and takes them off again.
 */
const rootFill: readonly SqlStatement[] = [
  `WITH RECURSIVE fill (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM fill WHERE n < ${fillRows})
     INSERT INTO entries SELECT ${fillFrom} + n, 'fill-' || n, '', NULL, '', CAST(zeroblob(3900) AS TEXT), NULL, x'', 0 FROM fill`,
  `DELETE FROM entries WHERE idx > ${fillFrom}`,
].map((sql) => ({ sql, rows: [[]] }));

/** A log kept in SQLite tables. */
export function sqlLogStore(sql: Sql): LogStore {
  return {
    ...sqlReads(sql),
    finds: sql.apart ?? false,
    async commit(change, deadline) {
      if ((await sql.write(statementsOf(change), deadline)) === 'conflict') throw new HeadMoved();
    },
    erase: (positions, deadline) => {
      const copies = positions.some((position) => position < firstRows) ? rootFill : [];
      return sql.blank({ table: 'entries', column: 'disclosure', key: 'idx', keys: positions, copies }, deadline);
    },
    async keepText(name, was, text, deadline) {
      return (await sql.write([textStatement(name, was, text)], deadline)) === 'done';
    },
    poll: () => sql.poll?.(),
    reopen: (deadline) => sql.reopen(deadline),
    async probe(deadline) {
      await sql.write([{ sql: 'UPDATE head SET size = size WHERE one = 1', rows: [[]] }], deadline);
    },
    close: () => sql.close(),
  };
}
