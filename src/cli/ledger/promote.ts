import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { onceTakenFrom, type Promoted, PromoteError, promote, wasPromoted } from '../../ledger/going-on/promote.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import { instantMs, parseDuration } from '../../lib/time.ts';
import { exit, Failure } from '../failure.ts';
import { shown, type Terminal } from '../terminal.ts';
import { withOwnLog } from './roll.ts';

const promoteMs = 15_000;

export interface PromoteGiven {
  readonly config: string;
  /** Files with a signed checkpoint each. */
  readonly checkpoints: readonly string[];
  readonly fenced?: boolean;
  readonly tokenLife: string;
}

/** What came of each log, and when the ledger takes tokens again that may be used once. */
export interface PromotedLogs {
  readonly logs: readonly Promoted[];
  /** Absent: at once. */
  readonly once_from?: string;
}

/** Promotes the standby of a config. @throws Failure */
export async function promoteOwnLog(given: PromoteGiven, terminal: Terminal): Promise<PromotedLogs> {
  const { config, fenced = false, tokenLife } = given;
  const life = parseDuration(tokenLife);
  if (life === undefined)
    throw new Failure(exit.usage, `${JSON.stringify(shown(tokenLife))} is no duration`, 'such as 1h or 25h');
  const checkpoints = await Promise.all(given.checkpoints.map((file) => read(file, terminal)));
  const options = { checkpoints, onceAfter: fenced ? 0 : life * 1000, now: terminal.now() };
  const until = () => deadlineIn(promoteMs, terminal.now);
  return withOwnLog(config, terminal, async (ledger, follows) => {
    if (!follows && !(await wasPromoted(ledger, until())))
      throw new Failure(
        exit.negative,
        'this ledger is no standby: its config has no `follow`',
        'run it with the config of the standby; `hallpass ledger roll` closes the log of a ledger that goes on',
      );
    const logs = await promote(ledger, options, until).catch((error) => {
      throw error instanceof PromoteError ? new Failure(exit.negative, shown(error.message)) : error;
    });
    const from = await onceTakenFrom(ledger, until());
    return { logs, ...(from !== undefined && from > terminal.now() && { once_from: instantMs(from) }) };
  });
}

async function read(file: string, terminal: Terminal): Promise<string> {
  try {
    return await readFile(resolve(terminal.folder, file), 'utf8');
  } catch {
    throw new Failure(exit.negative, `--checkpoint ${shown(file)} cannot be read`);
  }
}

/** Of each log what it ended with, what is known to be lost, and what goes on; then from when on one-time tokens are taken. */
export const describePromoted = ({ logs, once_from }: PromotedLogs): string =>
  `${logs.map(describe).join('')}${once_from === undefined ? 'nothing is waited for: one-time tokens are taken from now on' : `one-time tokens are refused until ${once_from}, or until told again with --fenced`}\n`;

function describe({ done, log, ended, kept, known }: Promoted): string {
  if (!done) return `promoted already: ${shown(log)} grows\n`;
  const lost = known > kept ? `entries ${kept} to ${known - 1} of ${shown(ended)} are lost` : 'nothing known is lost';
  return `${shown(ended)} ended with ${kept} entries\n${lost}\n${shown(log)} has begun\n`;
}
