// The commit worker with what the bench varies: how long a sync takes, and whether there is one at all. It wraps the
// database the real worker opens, so that everything else is the real thing.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const Database = require('libsql');
// Said by the module that imports this one: a worker is not told the query of its own URL.
const { delayMs, durable } = globalThis.benchCommit;
const cell = new Int32Array(new SharedArrayBuffer(4));

const { exec, prepare } = Database.prototype;
Database.prototype.exec = function execSlowly(sql) {
  if (sql === 'COMMIT' && delayMs > 0) Atomics.wait(cell, 0, 0, delayMs);
  return exec.call(this, sql);
};
if (!durable) {
  Database.prototype.prepare = function prepareLax(sql) {
    return prepare.call(this, sql.replace('synchronous = FULL', 'synchronous = OFF'));
  };
}

await import(new URL('../src/ledger/drivers/sqlite/commit-worker.mjs', import.meta.url).href);
