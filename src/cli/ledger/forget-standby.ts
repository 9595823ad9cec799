import { forgetStandby } from '../../ledger/confirming/pledge.ts';
import type { Pledge } from '../../ledger/following.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import { exit, Failure } from '../failure.ts';
import { shown, type Terminal } from '../terminal.ts';
import { withOwnLog } from './roll.ts';

const forgetMs = 15_000;

/** Takes back what a config's ledger promised its standby; undefined where nobody relies on anything. @throws Failure */
export const forgetOwnStandby = (config: string, standby: string, terminal: Terminal): Promise<Pledge | undefined> =>
  withOwnLog(config, terminal, async ({ texts }) => {
    if (texts === undefined) throw new Failure(exit.negative, 'a ledger of several shards promises nothing');
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
export const describeForgotten = (pledge: Pledge | undefined): string =>
  pledge === undefined
    ? 'no standby relies on this ledger\n'
    : `${shown(pledge.standby)} is not waited for any more: what is answered from now on is lost if it takes over\n`;
