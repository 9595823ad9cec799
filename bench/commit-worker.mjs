// The commit worker with what the bench varies: how long a sync takes, and whether there is one at all. It wraps the
// database the real worker opens, so that everything else is the real thing.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const Database = require('libsql');
const query = new URL(import.meta.url).searchParams;
const delayMs = Number(query.get('delay') ?? 0);
const cell = new Int32Array(new SharedArrayBuffer(4));

const { exec, prepare } = Database.prototype;
Database.prototype.exec = function execSlowly(sql) {
  if (sql === 'COMMIT' && delayMs > 0) Atomics.wait(cell, 0, 0, delayMs);
  return exec.call(this, sql);
};
if (query.get('durable') === 'no') {
  Database.prototype.prepare = function prepareLax(sql) {
    return prepare.call(this, sql.replace('synchronous = FULL', 'synchronous = OFF'));
  };
}

await import(new URL('../src/ledger/drivers/sqlite/commit-worker.mjs', import.meta.url).href);
