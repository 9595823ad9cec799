import Database from 'libsql';
import { expect, test } from 'vitest';
import { objectIndex } from '../../../src/ledger/drivers/durable-object/index-sql.ts';
import { objectSql } from '../../../src/ledger/drivers/durable-object/sql.ts';
import type { ObjectStorage } from '../../../src/ledger/drivers/durable-object/storage.ts';
import { soon } from '../fixtures.ts';

/** An object's storage in memory. */
function storageIn(connection: InstanceType<typeof Database>): ObjectStorage {
  return {
    sql: {
      exec: (query, ...bindings) => {
        const statement = connection.prepare(query);
        if (statement.reader) return { toArray: () => statement.all([...bindings]) as Record<string, unknown>[] };
        statement.run([...bindings]);
        return { toArray: () => [] };
      },
      databaseSize: 0,
    },
    transactionSync: (work) => connection.transaction(work)(),
    sync: async () => {},
  };
}

test('index tables of an earlier version give way to new ones, to be built again; the log beside them stays', async () => {
  const connection = new Database(':memory:');
  for (const sql of [
    'CREATE TABLE index_state (one INTEGER PRIMARY KEY, seen INTEGER NOT NULL)',
    'INSERT INTO index_state VALUES (1, 7)',
    'CREATE TABLE index_words (id INTEGER PRIMARY KEY, value TEXT)',
    'CREATE TABLE index_rows (idx INTEGER PRIMARY KEY, by_type INTEGER)',
    'CREATE INDEX index_by_type ON index_rows (by_type)',
    'CREATE TABLE entries (idx INTEGER PRIMARY KEY)',
    'INSERT INTO entries VALUES (3)',
  ])
    connection.exec(sql);
  const open = () => {
    const storage = storageIn(connection);
    return objectIndex(storage, objectSql(storage));
  };
  const index = open();
  expect(await index.seen(soon())).toBe(0);
  const row = { index: 0, time: 0, type: 'session', name: 'ci:acme/shop' };
  expect(await index.add([row], 0, 1, soon())).toBe(true);
  expect(await open().find({ name: 'ci:*/shop' }, 9, 9, soon())).toEqual([0]);
  expect(connection.prepare('SELECT idx FROM entries').all([])).toEqual([{ idx: 3 }]);
  expect(connection.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'index_words'").all([])).toEqual([]);
});
