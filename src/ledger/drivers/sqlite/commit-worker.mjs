// Runs the commits of one log off the main thread: a list of statements, one transaction, one answer. It knows nothing
// of ledgers. Plain JavaScript, because it is started by path both from the sources and from the bundle.
import { statSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import Database from 'libsql';

const database = new Database(workerData.path);
for (const pragma of workerData.pragmas) database.prepare(`PRAGMA ${pragma}`).all([]);

// A port that the main thread can look at whenever it likes.
const { port } = workerData;
const prepared = new Map();

function statement(sql) {
  let found = prepared.get(sql);
  if (found === undefined) {
    found = database.prepare(sql);
    prepared.set(sql, found);
  }
  return found;
}

const inodeOf = (path) => statSync(path, { throwIfNoEntry: false })?.ino;
const files = new Map([[workerData.path, inodeOf(workerData.path)]]);

/**
 * SQLite writes on into files that were removed or replaced, where nobody finds it after the process: with a write-ahead log it
 * does not look. The log itself is known from its first commit on. @throws as SQLite does where it looks
 */
function checkUnmoved() {
  for (const path of [workerData.path, `${workerData.path}-wal`]) {
    const inode = inodeOf(path);
    if (inode === undefined || inode !== (files.get(path) ?? inode))
      throw Object.assign(new Error('moved'), { code: 'SQLITE_READONLY_DBMOVED' });
    files.set(path, inode);
  }
}

/** @returns whether every run changed as many rows as it must */
function runAll(statements) {
  for (const { sql, rows, changes } of statements) {
    const one = statement(sql);
    for (const row of rows) {
      const result = one.run(row);
      if (changes !== undefined && result.changes !== changes) return false;
    }
  }
  return true;
}

function commit(statements) {
  database.exec('BEGIN IMMEDIATE');
  try {
    const fits = runAll(statements);
    if (fits) checkUnmoved();
    database.exec(fits ? 'COMMIT' : 'ROLLBACK');
    return fits ? { done: 'done' } : { done: 'conflict' };
  } catch (error) {
    try {
      database.exec('ROLLBACK');
    } catch {
      // SQLite has rolled back by itself; whoever asked opens anew after any error.
    }
    throw error;
  }
}

/**
 * What is in the write-ahead log goes to the file: after a crash or a failed commit, so that what is visible is durable.
 * TRUNCATE leaves nothing of it behind, as its old pages still hold what later ones no longer do.
 */
function settle(how) {
  const { busy } = database.prepare(`PRAGMA wal_checkpoint(${how})`).get([]);
  if (busy !== 0) throw Object.assign(new Error('busy'), { code: 'SQLITE_BUSY' });
}

function answer(statements, after) {
  const done = statements.length === 0 ? { done: 'done' } : commit(statements);
  if (after !== undefined) settle(after === 'truncate' ? 'TRUNCATE' : 'FULL');
  return done;
}

port.on('message', ({ id, statements, after }) => {
  // Told so by the main thread, which terminates nobody inside SQLite: that would end the process.
  if (Atomics.load(workerData.ending, 0) !== 0) process.exit();
  try {
    port.postMessage({ id, ...answer(statements, after) });
  } catch (error) {
    port.postMessage({ id, error: String(error?.code || 'SQLITE_ERROR') });
  }
});
