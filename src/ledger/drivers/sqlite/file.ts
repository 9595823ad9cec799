import { closeSync, existsSync, openSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import Database from 'libsql';
import { StoreFault } from '../../log-store.ts';
import type { Sql, SqlRow, SqlValue } from '../../sql/sql.ts';
import { firstHead, logSchema, logUpgrade1, logUpgrade2, storedKey } from '../../sql/tables.ts';
import { noteVerifier } from '../../tree/note.ts';
import { whyOther } from '../foreign-log.ts';
import { faultOf } from './commit-thread.ts';

/** A connection as libsql gives it. Parameters always go in as one array: a lone Buffer aborts the process. */
export type Connection = InstanceType<typeof Database>;
export type OpenDatabase = (path: string) => Connection;

export const openDatabase: OpenDatabase = (path) => new Database(path);

/** `HPLG`: SQLite's application_id of a ledger file. */
const applicationId = 0x48504c47;
const schemaVersion = 3;

/** A file that is not this deployment's log. */
export class ForeignFile extends Error {
  override readonly name = 'ForeignFile';
}

/**
 * Opens the file for reading, and makes it when there is none (mode 0600); `again`: it was open before, and one that is gone is
 * made by nobody.
 *
 * @throws ForeignFile for a file of something or somebody else, StoreFault where it cannot be read or made
 */
export function openFile(path: string, vkey: string, open: OpenDatabase, again = false): Connection {
  try {
    const there = existsSync(path);
    if (again && !there) throw new StoreFault('moved');
    if (!there) checkNeverThere(path);
    if (!there) closeSync(openSync(path, 'a', 0o600));
    const connection = open(path);
    prepare(connection, path, vkey);
    return connection;
  } catch (error) {
    throw scrubbed(error, path);
  }
}

/** A ledger that was lost, or whose disk is not all there, is begun anew by nobody who did not mean to. @throws ForeignFile */
function checkNeverThere(path: string): void {
  const left = ['-wal', '.index'].map((ending) => `${path}${ending}`).find((file) => existsSync(file));
  // Another process may have made it meanwhile.
  if (left === undefined || existsSync(path)) return;
  throw new ForeignFile(
    `${path} is gone, but ${left} is there: put the file or a backup of it back; to begin another log, move ${left} away`,
  );
}

/** Opens an existing ledger file for reading only, beside whoever writes it. @throws ForeignFile, StoreFault */
export function openFileToRead(path: string, open: OpenDatabase): Connection {
  try {
    if (!existsSync(path))
      throw new ForeignFile(`${path}: there is no such file (a first start, or hallpass ledger init, makes it)`);
    // Read-only for SQLite as well, so that closing moves nothing from the write-ahead log into the file.
    const connection = open(`${pathToFileURL(path).href}?mode=ro`);
    connection.exec('PRAGMA busy_timeout = 1000');
    const mark = markOf(connection);
    if (mark === 'older') throw new ForeignFile(`${path} is of an earlier version: start Hallpass on it once`);
    if (mark !== 'ours') throw new ForeignFile(`${path} is not a Hallpass ledger`);
    return connection;
  } catch (error) {
    throw scrubbed(error, path);
  }
}

/** What opening it would do to a file; whose it is, opening says. */
export function stateOfFile(path: string, open: OpenDatabase = openDatabase): 'made' | 'upgraded' | 'there' {
  if (!existsSync(path)) return 'made';
  let connection: Connection | undefined;
  try {
    connection = open(path);
    const mark = markOf(connection);
    return mark === 'empty' ? 'made' : mark === 'older' ? 'upgraded' : 'there';
  } catch (error) {
    throw scrubbed(error, path);
  } finally {
    connection?.close();
  }
}

function prepare(connection: Connection, path: string, vkey: string): void {
  connection.exec('PRAGMA busy_timeout = 1000');
  let mark = markOf(connection);
  if (mark === 'empty') {
    create(connection, vkey);
    mark = markOf(connection);
  }
  if (mark === 'older') {
    upgrade(connection);
    mark = markOf(connection);
  }
  if (mark !== 'ours') throw new ForeignFile(`${path} is not a Hallpass ledger`);
  const key = storedKey(readsOf(() => connection));
  if (key !== vkey)
    throw new ForeignFile(`${path} is the log of ${nameIn(key)} under another origin or key: ${whyOther(key, vkey)}`);
  connection.exec('PRAGMA query_only = ON; PRAGMA busy_timeout = 50');
}

function create(connection: Connection, vkey: string): void {
  connection.prepare('PRAGMA journal_mode = WAL').all([]);
  connection.exec('PRAGMA synchronous = FULL; BEGIN IMMEDIATE');
  // Another process may have made it meanwhile.
  if (markOf(connection) === 'empty') {
    for (const sql of logSchema) connection.exec(sql);
    const { sql, rows } = firstHead(vkey);
    connection.prepare(sql).run(rows[0] as unknown[]);
    connection.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schemaVersion}`);
  }
  connection.exec('COMMIT');
}

/** From version 1, which had no tables for what is owed and held, or 2, which had one log for ever. */
function upgrade(connection: Connection): void {
  connection.exec('PRAGMA synchronous = FULL; BEGIN IMMEDIATE');
  // Another process may have done it meanwhile.
  if (markOf(connection) === 'older') {
    if (versionOf(connection) === 1) for (const sql of logUpgrade1) connection.exec(sql);
    for (const sql of logUpgrade2) connection.exec(sql);
    connection.exec(`PRAGMA user_version = ${schemaVersion}`);
  }
  connection.exec('COMMIT');
}

const pragmaOf = (connection: Connection, pragma: string): unknown =>
  Object.values(connection.prepare(`PRAGMA ${pragma}`).get([]) as object)[0];

const versionOf = (connection: Connection): unknown => pragmaOf(connection, 'user_version');

type Mark = 'empty' | 'older' | 'ours' | 'foreign';

/** Looked at again before it is said to be foreign: another process may have made it between one look and the next. */
function markOf(connection: Connection): Mark {
  const mark = lookAt(connection);
  return mark === 'foreign' ? lookAt(connection) : mark;
}

function lookAt(connection: Connection): Mark {
  const [id, version] = [pragmaOf(connection, 'application_id'), versionOf(connection)];
  if (id === applicationId && version === schemaVersion) return 'ours';
  if (id === applicationId && (version === 1 || version === 2)) return 'older';
  const { tables } = connection.prepare('SELECT count(*) AS tables FROM sqlite_schema').get([]) as { tables: number };
  return id === 0 && version === 0 && tables === 0 ? 'empty' : 'foreign';
}

const nameIn = (vkey: string): string => {
  try {
    return noteVerifier(vkey).name;
  } catch {
    return 'somebody else';
  }
};

/** An Sql that only reads, over the connection of the moment; statements are prepared once per connection. */
export function readsOf(current: () => Connection): Sql {
  const prepared = new WeakMap<Connection, Map<string, ReturnType<Connection['prepare']>>>();

  function all(connection: Connection, sql: string, params: readonly SqlValue[]): SqlRow[] {
    const statements = prepared.get(connection) ?? new Map();
    prepared.set(connection, statements);
    const statement = statements.get(sql) ?? connection.prepare(sql);
    statements.set(sql, statement);
    return statement.all([...params]) as SqlRow[];
  }

  return {
    read(work) {
      const connection = current();
      try {
        connection.exec('BEGIN');
        try {
          return work((sql, params) => all(connection, sql, params));
        } finally {
          connection.exec('COMMIT');
        }
      } catch (error) {
        throw error instanceof StoreFault ? error : new StoreFault(faultOf(codeOf(error)), { cause: error });
      }
    },
    write: () => Promise.reject(new StoreFault('read_only')),
    blank: () => Promise.reject(new StoreFault('read_only')),
    reopen: () => Promise.reject(new StoreFault('read_only')),
    close: async () => {
      current().close();
    },
  };
}

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code ?? '');

function scrubbed(error: unknown, path: string): unknown {
  if (error instanceof ForeignFile || error instanceof StoreFault) return error;
  const code = codeOf(error);
  if (code === 'SQLITE_NOTADB') return new ForeignFile(`${path} is not a Hallpass ledger`);
  return new StoreFault(code === '' || code.startsWith('E') ? 'cannot_open' : faultOf(code), { cause: error });
}
