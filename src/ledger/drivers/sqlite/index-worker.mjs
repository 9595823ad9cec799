// Keeps the index beside a ledger's file on a thread of its own, as what is looked up may take a while: statements in, rows
// out. It knows nothing of ledgers. Plain JavaScript, because it is started by path both from the sources and from the bundle.
import { closeSync, openSync, rmSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'libsql';
import { comeAfterRequests } from './behind.mjs';

comeAfterRequests();

const { path, pragmas, schema, applicationId, version } = workerData;
const prepared = new Map();
const tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
let opened;

/** Made at the first question. What is damaged is made anew: everything in it comes from the log. */
function database() {
  if (opened !== undefined) return opened;
  try {
    opened = open();
  } catch (error) {
    if (!/^SQLITE_(CORRUPT|NOTADB)/.test(String(error?.code))) throw error;
    for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
    opened = open();
  }
  return opened;
}

function open() {
  closeSync(openSync(path, 'a', 0o600));
  const connection = new Database(path);
  for (const pragma of pragmas) connection.prepare(`PRAGMA ${pragma}`).all([]);
  const value = (pragma) => Object.values(connection.prepare(`PRAGMA ${pragma}`).get([]))[0];
  connection.exec('BEGIN IMMEDIATE');
  const [id, made] = [value('application_id'), value('user_version')];
  const empty = id === 0 && made === 0;
  if (!empty && id !== applicationId) {
    connection.close();
    throw Object.assign(new Error('foreign'), { code: 'FOREIGN' });
  }
  if (made !== version) {
    // Of another version: in its place, as other processes may have it open, and what it held is overwritten.
    for (const { name } of connection.prepare(tables).all([])) connection.exec(`DROP TABLE ${name}`);
    for (const sql of schema) connection.exec(sql);
    connection.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version}`);
  }
  connection.exec('COMMIT');
  return connection;
}

function statement(sql) {
  let found = prepared.get(sql);
  if (found === undefined) {
    found = database().prepare(sql);
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

function write(statements) {
  const connection = database();
  connection.exec('BEGIN IMMEDIATE');
  try {
    const fits = runAll(statements);
    connection.exec(fits ? 'COMMIT' : 'ROLLBACK');
    return fits ? 'done' : 'conflict';
  } catch (error) {
    try {
      connection.exec('ROLLBACK');
    } catch {
      // SQLite has rolled back by itself.
    }
    throw error;
  }
}

parentPort.on('message', ({ id, until, sql, params, statements }) => {
  // Told so by the main thread, which terminates nobody inside SQLite: that would end the process.
  if (Atomics.load(workerData.ending, 0) !== 0) process.exit();
  try {
    if (Date.now() > until) throw Object.assign(new Error('late'), { code: 'LATE' });
    const value = statements === undefined ? statement(sql).all(params) : write(statements);
    parentPort.postMessage({ id, value });
  } catch (error) {
    parentPort.postMessage({ id, error: String(error?.code || 'SQLITE_ERROR') });
  }
});
