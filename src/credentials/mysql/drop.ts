import { setTimeout as sleep } from 'node:timers/promises';
import type { Deadline } from '../../lib/deadline.ts';
import { type Client, type Connected, errnoOf, refuse } from './connection.ts';
import { secondsLeft, takeLock } from './lock.ts';
import { literal, quotedAccount } from './names.ts';

/** Between two looks at the sessions that are ending, milliseconds. */
const lookMs = 25;
/** ER_NO_SUCH_THREAD: it ended by itself. */
const noSuchThread = 1094;

/**
 * Ends an account: no more logins, its sessions, the user itself. Each step may have been done before; an account that is
 * not there is fine.
 */
export function dropAccount(connected: Connected, account: string, deadline: Deadline): Promise<void> {
  return connected(deadline, async (client) => {
    await takeTurn(client, account, deadline);
    await dropUsers(client, account, deadline);
  });
}

/** Does so where nobody else works at the account. */
export async function dropUsers(client: Client, account: string, deadline: Deadline): Promise<void> {
  const users = await shutAccount(client, account, deadline);
  if (users.length === 0) return;
  await client.query(`DROP USER IF EXISTS ${users.join(', ')}`);
  // A login that was under way when the account was shut may have come through since.
  await endSessions(client, account, deadline);
}

/**
 * Anybody who can log in can take a lock of any name, the account itself for one: so where it is taken, the account is
 * shut before it is waited for.
 */
async function takeTurn(client: Client, account: string, deadline: Deadline): Promise<void> {
  if ((await takeLock(client, account, 0, deadline)) !== undefined) return;
  // What fails here is done again with the lock in hand.
  await shutAccount(client, account, deadline).catch(() => {});
  if ((await takeLock(client, account, secondsLeft(deadline), deadline)) === undefined) throw refuse('slow');
}

/** No more logins, and its sessions end. @returns the users of this name, quoted, whatever hosts they may come from */
export async function shutAccount(client: Client, account: string, deadline: Deadline): Promise<string[]> {
  const rows = await client.query(`SELECT Host AS host FROM mysql.user WHERE User = ${literal(account)}`);
  const users = rows.map(({ host }) => quotedAccount(account, String(host)));
  if (users.length > 0) await client.query(`ALTER USER IF EXISTS ${users.join(', ')} ACCOUNT LOCK`);
  await endSessions(client, account, deadline);
  return users;
}

/** Waits until it has no session. @returns whether it had one */
export async function endSessions(client: Client, account: string, deadline: Deadline): Promise<boolean> {
  for (let found = false; deadline.left() > 0; found = true) {
    const rows = await client.query(
      // Without PROCESS the second query shows no session of another's; the first one then fails and says so.
      'SELECT 1 FROM information_schema.INNODB_CMP LIMIT 1; ' +
        `SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = ${literal(account)} LIMIT 1000`,
    );
    if (rows.length === 0) return found;
    for (const { id } of rows) await endSession(client, id);
    await sleep(lookMs);
  }
  throw refuse('slow');
}

async function endSession(client: Client, id: unknown): Promise<void> {
  if (typeof id !== 'number' && typeof id !== 'string') throw refuse('unreachable');
  try {
    await client.query(`KILL CONNECTION ${BigInt(id)}`);
  } catch (error) {
    if (errnoOf(error) !== noSuchThread) throw error;
  }
}
