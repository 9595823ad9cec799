// The commit worker with what the bench varies: how long a sync takes, and whether there is one at all. It wraps the
// database the real worker opens, so that everything else is the real thing. What a sync took goes to BENCH_SYNCS, a folder.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { medianOf } from './median.mjs';

const require = createRequire(import.meta.url);
const Database = require('libsql');
// Said by the module that imports this one: a worker is not told the query of its own URL.
const { delayMs, durable } = globalThis.benchCommit;
const cell = new Int32Array(new SharedArrayBuffer(4));

/** Milliseconds that the newest syncs took: the delay as the system kept it, and with it the disk's own. */
const newest = { delay: [], whole: [] };
const newestMost = 256;
const tellEvery = 32;
let synced = 0;

function note(delay, whole) {
  newest.delay[synced % newestMost] = delay;
  newest.whole[synced % newestMost] = whole;
  if (++synced % tellEvery !== 0 || process.env.BENCH_SYNCS === undefined) return;
  const medians = { delay: medianOf(newest.delay), whole: medianOf(newest.whole) };
  writeFileSync(join(process.env.BENCH_SYNCS, `sync-${delayMs}ms.json`), JSON.stringify(medians));
}

const { exec, prepare } = Database.prototype;
Database.prototype.exec = function execSlowly(sql) {
  if (sql !== 'COMMIT' || delayMs === 0) return exec.call(this, sql);
  const started = performance.now();
  Atomics.wait(cell, 0, 0, delayMs);
  const slept = performance.now();
  const done = exec.call(this, sql);
  note(slept - started, performance.now() - started);
  return done;
};
if (!durable) {
  Database.prototype.prepare = function prepareLax(sql) {
    return prepare.call(this, sql.replace('synchronous = FULL', 'synchronous = OFF'));
  };
}

await import(new URL('../src/ledger/drivers/sqlite/commit-worker.mjs', import.meta.url).href);
