import { join } from 'node:path';
import { RestoreError } from '../../ledger/going-on/copies.ts';
import { onceFrom } from '../../ledger/going-on/once-gate.ts';
import { wasPromoted } from '../../ledger/going-on/promote.ts';
import { type Restored, restoreLedger } from '../../ledger/going-on/restore.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import { instantMs, parseDuration } from '../../lib/time.ts';
import { type ConfigFile, readConfigFile } from '../config-file.ts';
import { exit, Failure } from '../failure.ts';
import { shown, type Terminal } from '../terminal.ts';
import { putBack } from './put-back.ts';
import { copiesOf, logsIn, readText, requireNative } from './restore-files.ts';
import { requireThere, withOwnLog } from './roll.ts';
import { describeReport, verify } from './verify.ts';

/** Each commit may take this long, milliseconds. */
const restoreMs = 60_000;

export interface RestoreGiven {
  readonly config: string;
  /** An SQLite file, put where the config's ledger is. */
  readonly from?: string;
  /** Files of a sink's native NDJSON; oldest first is read once. */
  readonly records: readonly string[];
  /** Folders that hold a published log. */
  readonly tiles: readonly string[];
  /** Files with a signed checkpoint each. */
  readonly checkpoints: readonly string[];
  /** How long a workload token lives at most; default 25h. */
  readonly tokenLife: string;
  /** No checkpoint was kept: nobody knows of more than the backup and the tiles have. */
  readonly nothingKnown?: boolean;
}

/** What came of each log, and when the ledger takes tokens again that may be used once. */
export interface RestoredLogs {
  readonly logs: readonly Restored[];
  /** Absent: at once. */
  readonly once_from?: string;
}

/** Puts a ledger back and lets it go on in its next log; where that fails, nothing is left of it. @throws Failure */
export async function restoreOwnLog(given: RestoreGiven, terminal: Terminal): Promise<RestoredLogs> {
  checkGiven(given);
  const life = parseDuration(given.tokenLife);
  if (life === undefined)
    throw new Failure(exit.usage, `${JSON.stringify(shown(given.tokenLife))} is no duration`, 'such as 1h or 25h');
  const tiles = (await Promise.all(given.tiles.map((folder) => logsIn(folder, terminal)))).flat();
  const notes = await Promise.all([
    ...given.checkpoints.map((file) => readText('--checkpoint', file, terminal)),
    ...tiles.map((folder) => readText('--tiles', join(folder, 'checkpoint'), terminal)),
  ]);
  for (const file of given.records) await requireNative(file, terminal);
  const config = await readConfigFile(given.config, terminal);
  const restore = async (file: ConfigFile): Promise<RestoredLogs> => {
    await requireClean(file, notes, terminal);
    return withOwnLog(file, terminal, async (ledger, follows) => {
      if (follows && !(await wasPromoted(ledger, until()))) throw new Failure(exit.negative, ...ofStandby);
      const key = await ledger.key(until());
      const tileNotes = notes.slice(given.checkpoints.length);
      const copies = { [Symbol.asyncIterator]: () => copiesOf(given.records, tiles, tileNotes, key, terminal) };
      const sources = { checkpoints: notes, copies, tokenLife: life * 1000 };
      const logs = await restoreLedger(ledger, sources, until).catch((error) => {
        if (error instanceof RestoreError) throw new Failure(exit.negative, shown(error.message), error.hint);
        throw error;
      });
      const from = await onceFrom(ledger, until());
      return { logs, ...(from !== undefined && from > terminal.now() && { once_from: instantMs(from) }) };
    });
  };
  const until = () => deadlineIn(restoreMs, terminal.now);
  if (given.from === undefined) requireThere(config);
  return given.from === undefined ? restore(config) : putBack(config, given.from, restore, terminal);
}

/** Two would begin the next log under one name. */
const ofStandby = [
  'a standby is not restored: the ledger that it follows may go on in a log of the same name',
  'with an empty database it follows anew; where the other is gone for good, take `follow` out of the config',
] as const;

/** A log that ends here begins the next: under a name that brokers know already, where the newest one is not known. */
function checkGiven({ records, tiles, checkpoints, nothingKnown = false }: RestoreGiven): void {
  if (nothingKnown && checkpoints.length > 0)
    throw new Failure(exit.usage, '--nothing-known goes with no --checkpoint');
  if (records.length > 0 && tiles.length === 0 && checkpoints.length === 0)
    throw new Failure(exit.usage, '--records goes with --checkpoint', 'what no checkpoint proves is not taken');
  if (checkpoints.length === 0 && !nothingKnown)
    throw new Failure(
      exit.usage,
      'restore wants the newest --checkpoint there is',
      'a log that was rolled since the backup would be begun once more, and brokers refuse it; where none is kept: --nothing-known',
    );
}

/** The backup must begin with each tree that was kept, as far as it reaches; what it lacks comes from copies, or is lost. */
async function requireClean(config: ConfigFile, notes: readonly string[], terminal: Terminal): Promise<void> {
  const readLog = () => Promise.reject(new Error('not published'));
  const report = await verify({ config, readLog }, notes, terminal);
  // A shard may have a lockdown that the first has lost: it gets it back.
  const findings = report.findings.filter(({ code }) => code !== 'cut' && code !== 'lockdowns_differ');
  if (findings.length === 0) return;
  terminal.out(describeReport({ ...report, findings }));
  throw new Failure(exit.negative, 'the backup does not verify, and is not taken');
}

/** What was put back, what is lost, by name, and what was not believed; a line each, for each log. */
export const describeRestored = ({ logs, once_from }: RestoredLogs): string =>
  `${logs.map(describe).join('')}${once_from === undefined ? '' : `one-time tokens are refused until ${once_from}: which were spent in what is lost nobody knows\n`}`;

function describe({ added, ended, kept, known, leftOut, log }: Restored): string {
  const lost = known > kept ? `entries ${kept} to ${known - 1} of ${shown(ended)} are lost` : 'nothing known is lost';
  const unproved = leftOut > 0 ? `${leftOut} entries of the copies left out: no checkpoint proves them\n` : '';
  return `${added} entries taken from copies; ${shown(ended)} ended with ${kept} entries\n${lost}\n${unproved}${shown(log)} has begun\n`;
}
