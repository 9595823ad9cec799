import { forgetStandby } from '../../ledger/confirming/pledge.ts';
import type { Pledge } from '../../ledger/following.ts';
import { wasPromoted } from '../../ledger/going-on/promote.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import { type ConfigFile, readConfigFile } from '../config-file.ts';
import { exit, Failure } from '../failure.ts';
import { shown, type Terminal } from '../terminal.ts';
import { withOwnLog } from './roll.ts';

const forgetMs = 15_000;

export interface Forgotten {
  /** What was promised; undefined where nobody relied on anything. */
  readonly pledge: Pledge | undefined;
  /** The standby that the config still waits for. */
  readonly confirm?: string;
}

/** Takes back what a config's ledger promised its standby. @throws Failure */
export async function forgetOwnStandby(config: string, standby: string, terminal: Terminal): Promise<Forgotten> {
  const file = await readConfigFile(config, terminal);
  const confirm = file.config.ledger.confirm as { readonly standby: string } | undefined;
  const pledge = await takenBack(file, standby, terminal);
  return { pledge, ...(confirm && { confirm: confirm.standby }) };
}

const takenBack = (file: ConfigFile, standby: string, terminal: Terminal): Promise<Pledge | undefined> =>
  withOwnLog(file, terminal, async (ledger, follows) => {
    const { texts } = ledger;
    if (texts === undefined) throw new Failure(exit.negative, 'a ledger of several shards promises nothing');
    if (follows && !(await wasPromoted(ledger, deadlineIn(forgetMs, terminal.now))))
      throw new Failure(
        exit.negative,
        "this is the config of a standby; give the first's",
        'the promise lies beside the ledger that made it',
      );
    const pledge = await forgetStandby(texts, standby, deadlineIn(forgetMs, terminal.now));
    if (pledge !== undefined && pledge.standby !== standby)
      throw new Failure(exit.negative, `the one that relies on this ledger is ${shown(pledge.standby)}`);
    if (pledge?.state !== 'replaced') return pledge;
    throw new Failure(
      exit.negative,
      `${shown(pledge.standby)} has taken over: what this ledger would answer is in no log that counts`,
      'make it a standby of the other: with an empty database, and `follow`',
    );
  });

/** One line. */
export const describeForgotten = ({ pledge }: Forgotten): string =>
  pledge === undefined
    ? 'no standby relies on this ledger\n'
    : `${shown(pledge.standby)} is not relied on any more: what is answered from now on is lost if it takes over\n`;

/** What is left to do before anything is answered; a line, or none. */
export function whatIsLeft({ pledge, confirm }: Forgotten): string {
  if (confirm !== undefined)
    return `nothing is answered yet: take \`ledger.confirm\` out of the config and restart its server; with it, not until ${shown(confirm)} confirms again\n`;
  return pledge === undefined ? '' : 'a server that was started with `ledger.confirm` is to be restarted without it\n';
}
