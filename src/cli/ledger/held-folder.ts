import { mkdir, readdir, realpath, rm, rmdir, unlink } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { type Connection, openDatabase } from '../../ledger/drivers/sqlite/file.ts';
import { codeOf } from '../../lib/durable-file.ts';
import { exit, Failure } from '../failure.ts';
import { shown } from '../terminal.ts';

/** Under this ending lies the lock of a folder in which the files of `ledger.db` are worked on. */
const lockEnding = '.held';

/** Whether a file lies in this folder, by whatever name. */
export async function liesIn(folder: string, file: string): Promise<boolean> {
  const place = join(await realpath(dirname(folder)), basename(folder));
  return `${await realpath(file)}${sep}`.startsWith(`${place}${sep}`);
}

/**
 * A folder for the files of one ledger, whose names begin with `name`, that one process works in at a time: empty, and its own
 * until it is released or dead, as the system ends the lock of SQLite with its process. What a dead one left is removed.
 *
 * @throws Failure where another works in it, or may: two that worked on one copy would mix, and each say that it is done
 */
export async function holdFolder(folder: string, name: string): Promise<{ release(): Promise<void> }> {
  await mkdir(folder, { mode: 0o700 }).catch((error) => {
    if (codeOf(error) !== 'EEXIST')
      throw new Failure(exit.negative, `${shown(folder)} cannot be made (${codeOf(error)})`);
  });
  const lock = join(folder, `${name}${lockEnding}`);
  const there = await readdir(folder).catch(() => ['']);
  const known = there.length === 0 || there.includes(basename(lock));
  if (!known || there.some((one) => !one.startsWith(name))) throw mayBeHeld(folder);
  const held = hold(folder, lock);
  const clear = async () => {
    for (const one of await readdir(folder))
      if (!one.startsWith(basename(lock))) await rm(join(folder, one), { recursive: true, force: true });
  };
  try {
    await clear();
  } catch (error) {
    held.close();
    throw error;
  }
  return {
    async release() {
      try {
        await clear();
        // Whoever has it open by now is told by SQLite that it was moved; who makes it anew keeps the folder.
        await unlink(`${lock}-journal`).catch(() => {});
        await unlink(lock).catch(() => {});
        await rmdir(folder).catch(() => {});
      } finally {
        held.close();
      }
    },
  };
}

/** @throws Failure */
function hold(folder: string, lock: string): Connection {
  let connection: Connection | undefined;
  try {
    connection = openDatabase(lock);
    // Only a write notices that the file was removed between opening and locking it.
    connection.exec(
      'PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; PRAGMA user_version = 1; COMMIT',
    );
    return connection;
  } catch (error) {
    connection?.close();
    if (codeOf(error) === 'SQLITE_NOTADB') throw mayBeHeld(folder);
    if (codeOf(error) !== 'SQLITE_BUSY' && codeOf(error) !== 'SQLITE_READONLY_DBMOVED')
      throw new Failure(exit.negative, `${shown(lock)} cannot be locked (${codeOf(error)})`);
    throw new Failure(exit.negative, `${shown(folder)} is there: another restore is at work`, 'let it end first');
  }
}

const mayBeHeld = (folder: string): Failure =>
  new Failure(
    exit.negative,
    `${shown(folder)} is there: another restore is at work, or one was cut off`,
    'where none is at work, remove it: it has a copy of the backup',
  );
