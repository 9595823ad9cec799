// The real commit worker over a database that fails the way the control file says, as long as it says so.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const Database = createRequire(import.meta.url)('libsql');
// Said by the module that imports this one: a worker is not told the query of its own URL.
const control = globalThis.faultControl;
const cell = new Int32Array(new SharedArrayBuffer(4));
const fail = (code) => {
  throw Object.assign(new Error('injected'), { code });
};
const { exec, prepare } = Database.prototype;

function faultNow() {
  return existsSync(control) ? readFileSync(control, 'utf8') : '';
}

Database.prototype.exec = function failing(sql) {
  if (sql !== 'COMMIT') return exec.call(this, sql);
  switch (faultNow()) {
    case 'disk full':
      return fail('SQLITE_FULL');
    case 'read-only':
      return fail('SQLITE_READONLY');
    case 'fsync error':
      // What the disk has after a failed sync is not known; here it is all there, which is the harder case.
      exec.call(this, sql);
      return fail('SQLITE_IOERR_FSYNC');
    case 'hang':
      Atomics.wait(cell, 0, 0, 2_600);
      return exec.call(this, sql);
    case 'thread ends':
      return process.exit(1);
    default:
      return exec.call(this, sql);
  }
};
Database.prototype.prepare = function failing(sql) {
  const fault = faultNow();
  if (sql.includes('wal_checkpoint') && fault !== '' && fault !== 'hang') fail('SQLITE_IOERR');
  return prepare.call(this, sql);
};

await import(new URL('../../src/ledger/drivers/sqlite/commit-worker.mjs', import.meta.url).href);
