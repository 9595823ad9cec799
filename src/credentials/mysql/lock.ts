import type { Deadline } from '../../lib/deadline.ts';
import { accountOf, issuanceOf } from '../account.ts';
import { type Client, refuse } from './connection.ts';
import { type Dialect, dialectOf } from './dialect.ts';

/**
 * Takes an account's lock, which the connection holds until it ends: of a make whose outcome is unknown and of the undos
 * of one account, one goes on at a time. What waits inside the server gives up by the deadline too.
 *
 * @returns how to speak to this server; undefined when another has the lock for as long as `seconds`
 */
export async function takeLock(
  client: Client,
  account: string,
  seconds: number,
  deadline: Deadline,
): Promise<Dialect | undefined> {
  const [row] = await client.query(
    `SET SESSION lock_wait_timeout = ${secondsLeft(deadline)}; ` +
      `SELECT GET_LOCK('${lockName(account)}', ${seconds}) AS ours, VERSION() AS version`,
  );
  if (typeof row?.version !== 'string') throw refuse('unreachable');
  return Number(row.ours) === 1 ? dialectOf(row.version) : undefined;
}

/** At least one: the server knows no less. */
export const secondsLeft = (deadline: Deadline): number => Math.max(1, Math.ceil(deadline.left() / 1000));

/** Of an account's name, which is letters, digits and `_`. */
export const lockName = (account: string): string => `hallpass/${accountOf(issuanceOf(account))}`;
