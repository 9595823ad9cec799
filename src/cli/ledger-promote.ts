import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Promoted, PromoteError, promote } from '../ledger/standby.ts';
import { deadlineIn } from '../lib/deadline.ts';
import { parseDuration } from '../lib/time.ts';
import { exit, Failure } from './failure.ts';
import { withOwnLog } from './ledger-roll.ts';
import { shown, type Terminal } from './terminal.ts';

const promoteMs = 15_000;

export interface PromoteGiven {
  readonly config: string;
  /** Files with a signed checkpoint each. */
  readonly checkpoints: readonly string[];
  readonly fenced?: boolean;
  readonly tokenLife: string;
}

/** Promotes the standby of a config. @throws Failure */
export async function promoteOwnLog(given: PromoteGiven, terminal: Terminal): Promise<readonly Promoted[]> {
  const { config, fenced = false, tokenLife } = given;
  const life = parseDuration(tokenLife);
  if (life === undefined)
    throw new Failure(exit.usage, `${JSON.stringify(shown(tokenLife))} is no duration`, 'such as 1h or 25h');
  const checkpoints = await Promise.all(given.checkpoints.map((file) => read(file, terminal)));
  const options = { checkpoints, onceAfter: fenced ? 0 : life * 1000, now: terminal.now() };
  return withOwnLog(config, terminal, (ledger) =>
    promote(ledger, options, () => deadlineIn(promoteMs, terminal.now)).catch((error) => {
      throw error instanceof PromoteError ? new Failure(exit.negative, shown(error.message)) : error;
    }),
  );
}

async function read(file: string, terminal: Terminal): Promise<string> {
  try {
    return await readFile(resolve(terminal.folder, file), 'utf8');
  } catch {
    throw new Failure(exit.negative, `${shown(file)} cannot be read`);
  }
}

/** One line for each log: what it ended with, and what is known to be lost. */
export const describePromoted = (promoted: readonly Promoted[]): string => promoted.map(describe).join('');

function describe({ done, log, ended, kept, known }: Promoted): string {
  if (!done) return `${shown(log)} grows already\n`;
  const lost = known > kept ? `entries ${kept} to ${known - 1} are lost` : 'nothing known is lost';
  return `${shown(ended)} ended with ${kept} entries, ${lost}; ${shown(log)} has begun\n`;
}
