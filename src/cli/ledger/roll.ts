import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ArchivePlace } from '../../config/parts/archive-place.ts';
import { archiveAssert } from '../../config/parts/mintables.ts';
import { type OwnLog, openOwnLog } from '../../config/parts/open-log.ts';
import { type ArchivedLog, archiveClosed } from '../../ledger/going-on/archive.ts';
import { wasPromoted } from '../../ledger/going-on/promote.ts';
import type { Ledger, Rolled } from '../../ledger/ledger.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import { isJsonObject } from '../../lib/strict-json.ts';
import { type ConfigFile, readConfigFile } from '../config-file.ts';
import { exit, Failure } from '../failure.ts';
import { ledgerFailure } from '../ledger-failure.ts';
import { nodePlatform } from '../node-platform.ts';
import { connect, type ServerOptions } from '../server.ts';
import { shown, type Terminal } from '../terminal.ts';
import { openShelf } from './archive-place.ts';

const rollMs = 15_000;
/** Each read or write of the archive may take this long, milliseconds. */
const archiveMs = 60_000;

/** The log of a config, or of the file with it, opened beside its server; closed when the work is done. @throws Failure */
export async function withOwnLog<T>(
  file: string | ConfigFile,
  terminal: Terminal,
  work: (ledger: Ledger, follows: boolean, assertFor: OwnLog['assertFor']) => Promise<T>,
): Promise<T> {
  const opened = typeof file === 'string' ? await readConfigFile(file, terminal) : file;
  const { config, folder } = opened;
  const { kind, url } = config.ledger;
  requireThere(opened);
  const platform = { ...nodePlatform(terminal, folder), log: () => {} };
  const own = await openOwnLog(config, platform).catch((error) => {
    throw ledgerFailure(error, kind, 'the ledger cannot be opened');
  });
  if (own === undefined) {
    const hint = kind === 'http' ? `ask the ledger itself: --server ${String(url)}` : 'ask its server: --server URL';
    throw new Failure(exit.negative, `a ${kind} ledger cannot be opened from here`, hint);
  }
  const { ledger, assertFor } = own;
  try {
    return await work(ledger, config.ledger.follow !== undefined, assertFor);
  } finally {
    await ledger.close();
  }
}

/** A ledger's file that is gone may be on a disk that is not mounted: none is made in its place. @throws Failure */
export function requireThere({ config, folder }: ConfigFile): void {
  const { kind, path } = config.ledger;
  if (kind !== 'sqlite' || typeof path !== 'string' || existsSync(resolve(folder, path))) return;
  const hint =
    'a backup is put back by `ledger restore --from FILE`; where there is none, `ledger init` makes an empty ledger';
  throw new Failure(exit.negative, `${shown(resolve(folder, path))} is not there`, hint);
}

/** Closes each log of a config's ledger and begins its successor. @throws Failure */
export const rollOwnLog = (file: ConfigFile, terminal: Terminal): Promise<readonly Rolled[]> =>
  withOwnLog(file, terminal, async (ledger, follows) => {
    if (follows) await requirePromoted(ledger, 'a standby is rolled by the ledger it follows', terminal);
    const rolled: Rolled[] = [];
    for (const { roll } of ledger.shards ?? [ledger]) {
      if (roll === undefined) throw new Failure(exit.negative, 'this ledger cannot be rolled');
      rolled.push(await roll({ reason: 'ordered' }, deadlineIn(rollMs, terminal.now)));
    }
    return rolled;
  });

/** What a standby has is what the other recorded: it appends nothing of its own. @throws Failure */
async function requirePromoted(ledger: Ledger, otherwise: string, { now }: Terminal): Promise<void> {
  if (await wasPromoted(ledger, deadlineIn(rollMs, now))) return;
  throw new Failure(exit.negative, otherwise, 'or let it take over: ledger promote');
}

/** The same by a server, for identities whose role has `ledger: roll`. @throws Failure */
export async function rollByServer(options: ServerOptions, terminal: Terminal): Promise<readonly Rolled[]> {
  const { body } = await (await connect(options, terminal)).call('POST', '/v1/log/roll', 'logs', {});
  const logs = Array.isArray(body.logs) ? body.logs.filter(isJsonObject) : [];
  return logs.map(({ log, generation, done }) => ({
    log: String(log),
    generation: Number(generation),
    done: done === true,
  }));
}

/** One line for each log. */
export const describeRolled = (rolled: readonly Rolled[]): string =>
  rolled
    .map(({ log, done }) => `${shown(log)} ${done ? 'has begun; the log before it is closed' : 'grows already'}\n`)
    .join('');

/** Writes what was closed and is not archived there yet. @throws Failure */
export async function archiveOwnLog(
  file: ConfigFile,
  place: ArchivePlace,
  terminal: Terminal,
): Promise<readonly ArchivedLog[]> {
  const until = () => deadlineIn(archiveMs, terminal.now);
  const { kind, url } = file.config.ledger;
  if (kind === 'http' || kind === 'durable-object') {
    const hint = kind === 'http' ? `by the ledger itself, ${String(url)}` : 'by the scheduled runs of its Worker';
    throw new Failure(exit.negative, `a ${kind} ledger is archived where it is`, hint);
  }
  return withOwnLog(file, terminal, async (ledger, follows, assertFor) => {
    if (follows) await requirePromoted(ledger, 'a standby leaves the archive to the ledger it follows', terminal);
    const shelf = openShelf(place, terminal, archiveAssert(file.config.ledger, assertFor));
    return archiveClosed(ledger, shelf, until);
  });
}

export const countArchived = ({ length }: readonly ArchivedLog[]): string =>
  `${length} closed ${length === 1 ? 'log' : 'logs'} written\n`;
