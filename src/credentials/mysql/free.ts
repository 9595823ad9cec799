import { sha256, toHex } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { poolPrefix, shapeOf } from './account.ts';
import { type Client, refuse } from './connection.ts';
import { type Dialect, dialectOf } from './dialect.ts';
import { literal } from './names.ts';
import { askRoster, at, roster, serverNow, settings, type Turn, turnAt, turnBegins } from './roster.ts';
import type { TargetConfig } from './target.ts';

export interface Pool {
  /** 16 hexadecimal digits; a user's name ends with it and its number, 1 to `size`. */
  readonly tag: string;
  readonly size: number;
}

/** Users of another role, or that may come from elsewhere, are another pool. */
export const poolOf = ({ role, from, pool }: TargetConfig, credential: string): Pool => ({
  tag: toHex(sha256(`hallpass/mysql/pool/${JSON.stringify([credential, role, from])}`)).slice(0, 16),
  size: pool?.size ?? 0,
});

export interface Taken {
  readonly turn: Turn;
  /** It was not given back: its holder's time was up. */
  readonly heldBefore: boolean;
  readonly dialect: Dialect;
}

/** Who asks when all are held comes again no sooner and no later, seconds. */
const leastWait = 1;
const mostWait = 60;

const usersOf = ({ tag, size }: Pool): string =>
  `FROM ${roster} WHERE pool = '${tag}' AND CAST(SUBSTRING_INDEX(account, '_', -1) AS UNSIGNED) <= ${size}`;

/**
 * Makes this issuance the holder of a free user, and begins a turn at it; one that was given back is taken first. Undefined
 * when none is free. Which one is looked up without a lock, and it is taken only where it is free still.
 */
export async function takeFree(
  client: Client,
  pool: Pool,
  { issuance, credential, until }: { readonly issuance: string; readonly credential: string; readonly until: number },
  random: (bytes: number) => Uint8Array,
  deadline: Deadline,
): Promise<Taken | undefined> {
  const { worker } = turnAt('', random);
  const free = `until <= ${serverNow} AND busy <= ${serverNow}`;
  while (deadline.left() > 0) {
    const [row] = await askRoster(
      client,
      settings(deadline),
      'SET @one = NULL, @was = NULL',
      `SELECT account, issuance ${usersOf(pool)} AND ${free} ORDER BY issuance <> '', RAND() LIMIT 1 INTO @one, @was`,
      `UPDATE ${roster} SET issuance = ${literal(issuance)}, credential = ${literal(credential)}, until = ${at(until)},
        ${turnBegins(worker, deadline)} WHERE account = @one AND issuance = @was AND ${free}`,
      'SELECT ROW_COUNT() AS ours, @one AS account, @was AS was, VERSION() AS version',
    );
    if (row === undefined || row.account === null) return undefined;
    const { account, was, version } = row;
    if (Number(row.ours) !== 1) continue;
    const turn = { account: String(account), worker };
    if (shapeOf(turn.account) !== 'pooled') throw refuse('bad_account');
    return { turn, heldBefore: was !== '', dialect: dialectOf(String(version)) };
  }
  throw refuse('slow');
}

/** Gives the users that are not there yet a row. @returns when the next one will be free, seconds from now */
export async function fillPool(client: Client, pool: Pool, credential: string): Promise<number> {
  const free = `SELECT COUNT(*) AS count,
    CEIL(TIMESTAMPDIFF(MICROSECOND, ${serverNow}, MIN(GREATEST(until, busy))) / 1000000) AS wait ${usersOf(pool)}`;
  const [row] = await askRoster(client, free);
  if (Number(row?.count) < pool.size) {
    const rows = Array.from({ length: pool.size }, (_, index) => {
      const account = `${poolPrefix}${pool.tag}_${index + 1}`;
      return `('${account}', '${pool.tag}', ${literal(credential)}, '', ${serverNow}, '', ${serverNow})`;
    });
    await client.query(
      `INSERT IGNORE INTO ${roster} (account, pool, credential, issuance, until, worker, busy) VALUES ${rows.join(', ')}`,
    );
  }
  return Math.min(Math.max(Number(row?.wait ?? leastWait), leastWait), mostWait);
}
