import { constants, existsSync } from 'node:fs';
import { access, copyFile, readlink, rename, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { syncFolder } from '../../lib/durable-file.ts';
import type { ConfigFile } from '../config-file.ts';
import { exit, Failure } from '../failure.ts';
import { shown, type Terminal } from '../terminal.ts';
import { whyUnread } from './restore-files.ts';

/**
 * Restores a copy of a backup, in a folder beside the place of the config's ledger, and moves it there when all is done;
 * nothing is overwritten, and nothing is left where it fails. One at a time; what a run that was killed left there is removed.
 *
 * @throws Failure
 */
export async function putBack<T>(
  file: ConfigFile,
  from: string,
  restore: (file: ConfigFile) => Promise<T>,
  terminal: Pick<Terminal, 'folder'>,
): Promise<T> {
  const { kind, path } = file.config.ledger;
  if (kind !== 'sqlite' || typeof path !== 'string')
    throw new Failure(
      exit.usage,
      '--from goes with an sqlite ledger',
      `put a ${kind} ledger back with its own tools, then run this without --from`,
    );
  const target = resolve(file.folder, path);
  const source = resolve(terminal.folder, from);
  requireNone(target, 'is there already');
  await requirePlace(target);
  await requireBackup(source, from);
  const folder = `${target}.restoring`;
  // Only when it is needed: it loads SQLite.
  const { holdFolder, liesIn } = await import('./held-folder.ts');
  if (await liesIn(folder, source))
    throw new Failure(exit.usage, `--from ${shown(from)} lies where restore works`, 'move it elsewhere first');
  const held = await holdFolder(folder, basename(target));
  const copy = join(folder, basename(target));
  try {
    await copyTo(copy, source, from);
    if (existsSync(`${source}-wal`)) await copyTo(`${copy}-wal`, `${source}-wal`, `${from}-wal`);
    const ledger = { ...file.config.ledger, path: copy };
    const restored = await restore({ ...file, config: { ...file.config, ledger } });
    await gather(copy);
    // A server that was started meanwhile has made an empty one.
    requireNone(target, 'is there by now');
    await rename(copy, target);
    await syncFolder(dirname(target));
    return restored;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(error.code, error.message.replaceAll(copy, `--from ${shown(from)}`), error.hint);
  } finally {
    await held.release();
  }
}

/** @throws Failure */
function requireNone(target: string, found: string): void {
  const there = [target, `${target}-wal`].find((one) => existsSync(one));
  if (there === undefined) return;
  const hint = 'move it and its -wal aside first; no server may run meanwhile';
  throw new Failure(exit.negative, `${shown(there)} ${found}`, hint);
}

/** A link would be replaced, and what it leads to, on a disk that is not mounted, be a second ledger. @throws Failure */
async function requirePlace(target: string): Promise<void> {
  if (!existsSync(dirname(target)))
    throw new Failure(exit.negative, `the folder of ${shown(target)} is not there`, 'is a disk not mounted?');
  const link = await readlink(target).catch(() => undefined);
  if (link === undefined) return;
  const hint =
    'is a disk not mounted? Where it is gone for good, remove the link, or name the file itself in the config';
  throw new Failure(exit.negative, `${shown(target)} is a link to ${shown(link)}, which is not there`, hint);
}

/** @throws Failure */
async function requireBackup(source: string, from: string): Promise<void> {
  await access(source, constants.R_OK).catch((error) => {
    throw new Failure(exit.negative, `--from ${shown(from)} ${whyUnread(error)}`);
  });
  if ((await stat(source)).isDirectory())
    throw new Failure(exit.negative, `--from ${shown(from)} is a folder`, 'name the file of the ledger in it');
}

async function copyTo(copy: string, source: string, name: string): Promise<void> {
  await copyFile(source, copy).catch(({ code }: NodeJS.ErrnoException) => {
    throw new Failure(exit.negative, `--from ${shown(name)} cannot be copied to where the ledger is to be (${code})`);
  });
}

/** Moves all of it into the one file: a file without its write-ahead log would be believed as it is. @throws Failure */
async function gather(copy: string): Promise<void> {
  const { openDatabase } = await import('../../ledger/drivers/sqlite/file.ts');
  const connection = openDatabase(copy);
  try {
    const { busy } = connection.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get([]) as { busy: number };
    if (busy !== 0) throw new Failure(exit.negative, `${shown(copy)} is in use by another process`);
  } finally {
    connection.close();
  }
}
