import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { type Client, errnoOf, type Row, refuse } from './connection.ts';
import { secondsLeft } from './lock.ts';
import { literal } from './names.ts';

/*
 * The accounts of pools and those that are shared, a row each: whose they are, and until when, as neither server knows an
 * end of an account. What changes a user ends its transaction, so no lock of a row could be held meanwhile: who works at an
 * account says so in its row (`worker`), for as long as the work may take (`busy`). Nobody who has an account can get at it.
 */

export const roster = '`hallpass`.`accounts`';

/** By the server's clock, which is the same to all. */
export const serverNow = 'UTC_TIMESTAMP(3)';

const create = `CREATE TABLE IF NOT EXISTS ${roster} (
  account varchar(32) NOT NULL PRIMARY KEY, pool varchar(16) NOT NULL, credential varchar(255) NOT NULL,
  issuance varchar(26) NOT NULL, until datetime(3) NOT NULL, worker varchar(16) NOT NULL, busy datetime(3) NOT NULL,
  KEY (pool), KEY (issuance)) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`;

/** ER_NO_SUCH_TABLE. */
const noTable = 1146;
/** ER_BAD_DB_ERROR, ER_NO_SUCH_TABLE, ER_TABLEACCESS_DENIED_ERROR, ER_DBACCESS_DENIED_ERROR. */
const noRoster: ReadonlySet<number | undefined> = new Set([1049, noTable, 1142, 1044]);

/** Between two looks at whether another one's turn is over, milliseconds. */
const lookMs = 25;
/** After a deadline nothing more of the work goes out; what is with the server by then may take this long, seconds. */
const graceSeconds = 2;

/** A time, milliseconds, as it stands in a statement. */
export const at = (ms: number): string => `'${new Date(ms).toISOString().slice(0, 23).replace('T', ' ')}'`;

/** Before anything else on a connection: what waits inside the server gives up by the deadline too. */
export const settings = (deadline: Deadline): string => {
  const seconds = secondsLeft(deadline);
  return `SET SESSION autocommit = 1, lock_wait_timeout = ${seconds}, innodb_lock_wait_timeout = ${seconds}`;
};

/** Runs statements about the roster, which is made where there is none yet. */
export async function askRoster(client: Client, ...statements: readonly string[]): Promise<readonly Row[]> {
  const text = statements.join('; ');
  try {
    return await client.query(text);
  } catch (error) {
    if (errnoOf(error) !== noTable) throw error;
    await client.query(create);
    return client.query(text);
  }
}

/** Nobody else works at the account before this is given back, or its time is up. */
export interface Turn {
  readonly account: string;
  /** 16 hexadecimal digits of its own. */
  readonly worker: string;
}

export const turnAt = (account: string, random: (bytes: number) => Uint8Array): Turn => ({
  account,
  worker: toHex(random(8)),
});

/** What a row says of a turn that begins. */
export const turnBegins = (worker: string, deadline: Deadline): string =>
  `worker = '${worker}', busy = ${serverNow} + INTERVAL ${secondsLeft(deadline) + graceSeconds} SECOND`;

/**
 * Waits for a turn at an account whose row fits `where`, and says `set` there. `first` goes before each try.
 *
 * @returns false when no row fits (any more)
 */
export async function beginTurn(
  client: Client,
  { account, worker }: Turn,
  {
    where,
    set = '',
    first = [],
  }: { readonly where: string; readonly set?: string; readonly first?: readonly string[] },
  deadline: Deadline,
): Promise<boolean> {
  const fits = `account = '${account}' AND ${where}`;
  while (deadline.left() > 0) {
    const [row] = await askRoster(
      client,
      ...first,
      `UPDATE ${roster} SET ${set}${turnBegins(worker, deadline)} WHERE ${fits} AND busy <= ${serverNow}`,
      `SELECT ROW_COUNT() AS ours, (SELECT COUNT(*) FROM ${roster} WHERE ${fits}) AS fitting`,
    );
    if (Number(row?.ours) === 1) return true;
    if (Number(row?.fitting) === 0) return false;
    await sleep(lookMs);
  }
  throw refuse('slow');
}

/**
 * Does the work of a turn; then says `set` in the row, or deletes it, or neither where the work failed. @throws Refusal slow
 * where it was another's turn by then
 */
export async function endTurn(
  client: Client,
  { account, worker }: Turn,
  outcome: { readonly set: string } | 'delete',
  work: () => Promise<void>,
): Promise<void> {
  const end = (statement: string) =>
    client.query(`${statement} WHERE account = '${account}' AND worker = '${worker}'; SELECT ROW_COUNT() AS ours`);
  const update = (set: string) => `UPDATE ${roster} SET ${set}worker = '', busy = ${serverNow}`;
  try {
    await work();
  } catch (error) {
    // Where the connection is lost, the turn ends with its time.
    await end(update('')).catch(() => {});
    throw error;
  }
  const [row] = await end(outcome === 'delete' ? `DELETE FROM ${roster}` : update(outcome.set));
  if (Number(row?.ours) !== 1) throw refuse('slow');
}

/** The account that this issuance has, or was the first to have. */
export async function findAccount(client: Client, issuance: string): Promise<string | undefined> {
  const rows = await rosterIfAny(client, `SELECT account FROM ${roster} WHERE issuance = ${literal(issuance)} LIMIT 1`);
  return rows.map(({ account }) => String(account))[0];
}

/** Rows of the roster; none where the server has no roster, or none that the admin may read. */
export async function rosterIfAny(client: Client, select: string): Promise<readonly Row[]> {
  try {
    return await client.query(select);
  } catch (error) {
    if (noRoster.has(errnoOf(error))) return [];
    throw error;
  }
}
