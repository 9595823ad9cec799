// Runs the commits of one log off the main thread: a list of statements, one transaction, one answer. It knows nothing
// of ledgers. Plain JavaScript, because it is started by path both from the sources and from the bundle.
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'libsql';

const database = new Database(workerData.path);
for (const pragma of workerData.pragmas) database.prepare(`PRAGMA ${pragma}`).all([]);

const prepared = new Map();

function statement(sql) {
  let found = prepared.get(sql);
  if (found === undefined) {
    found = database.prepare(sql);
    prepared.set(sql, found);
  }
  return found;
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

/** What a crashed or failed commit left in the write-ahead log goes to the file, so that what is visible is durable. */
function settle() {
  const { busy } = database.prepare('PRAGMA wal_checkpoint(FULL)').get([]);
  if (busy !== 0) throw Object.assign(new Error('busy'), { code: 'SQLITE_BUSY' });
  return { done: 'done' };
}

parentPort.on('message', ({ id, statements }) => {
  try {
    parentPort.postMessage({ id, ...(statements === undefined ? settle() : commit(statements)) });
  } catch (error) {
    parentPort.postMessage({ id, error: String(error?.code || 'SQLITE_ERROR') });
  }
});
