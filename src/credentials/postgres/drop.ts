import { setTimeout as sleep } from 'node:timers/promises';
import { escapeIdentifier } from 'pg';
import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import type { PostgresConfig } from '../postgres.ts';
import { type AsAdmin, type Client, refuse } from './admin.ts';
import { lockKey } from './lock.ts';

/** Between two looks at the sessions that are ending, milliseconds. */
const lookMs = 25;
/** How often another undo may get in the way. */
const mostRaces = 10;

/**
 * Ends an account: no more logins, its sessions, what it owns goes to the configured role, the role itself. Each step may
 * have been done before; an account that is not there is fine.
 */
export function dropAccount(
  asAdmin: AsAdmin,
  { database, role }: PostgresConfig,
  account: string,
  deadline: Deadline,
): Promise<void> {
  return asAdmin(database, deadline, async (client) => {
    await takeTurn(client, account, deadline);
    await throughRaces(client, deadline, async () => {
      const oid = await shutAccount(client, account, deadline);
      if (oid === undefined) return;
      for (const name of await databasesOf(client, oid, database)) {
        if (name === database) await disown(client, account, role);
        else await asAdmin(name, deadline, (other) => disown(other, account, role));
      }
      await client.query(`DROP ROLE IF EXISTS ${escapeIdentifier(account)}`);
    });
  });
}

/** Whoever waits for a turn shuts the account as well, and PostgreSQL lets only one of two change a role's row at a time. */
async function throughRaces(client: Client, deadline: Deadline, work: () => Promise<void>): Promise<void> {
  for (let races = 0; ; races++) {
    try {
      return await work();
    } catch (error) {
      if (!isRace(error) || races === mostRaces || deadline.left() <= lookMs) throw error;
      await client.query('ROLLBACK');
      await sleep(lookMs);
    }
  }
}

/** "Tuple concurrently updated" has no code of its own: it is XX000. */
const isRace = (error: unknown): boolean =>
  error instanceof Refusal ? error.reason === 'sqlstate_XX000' : (error as { code?: unknown }).code === 'XX000';

/**
 * Takes the account's lock, held until the connection ends: neither a make whose outcome is unknown nor a second undo runs
 * beside this one. Anybody in the database can take it too, the account itself for one: so where it is taken, the account is
 * shut before it is waited for.
 */
async function takeTurn(client: Client, account: string, deadline: Deadline): Promise<void> {
  const lock = lockKey(account);
  const { rows } = await client.query<{ ours: boolean }>(`SELECT pg_try_advisory_lock(${lock}) AS ours`);
  if (rows[0]?.ours === true) return;
  // What fails here may be another undo's doing; what must not fail is done again with the lock in hand.
  await shutAccount(client, account, deadline).catch(() => {});
  await client.query(`SELECT pg_advisory_lock(${lock})`);
}

/** No more logins, and its sessions end. @returns its oid; undefined when there is no such account */
async function shutAccount(client: Client, account: string, deadline: Deadline): Promise<string | undefined> {
  const oid = await findRole(client, account);
  if (oid === undefined) return undefined;
  await client.query(`ALTER ROLE ${escapeIdentifier(account)} NOLOGIN`);
  await joinAccount(client, account);
  await endSessions(client, oid, deadline);
  return oid;
}

async function findRole(client: Client, name: string): Promise<string | undefined> {
  const { rows } = await client.query<{ oid: string }>('SELECT oid::text FROM pg_roles WHERE rolname = $1', [name]);
  return rows[0]?.oid;
}

/**
 * An admin that is no superuser must be a member of the account to end its sessions and hand on what it owns; through it
 * the admin is one of the configured role as well. Since 16, whether a member has a role's rights is said with the grant,
 * before that by the member's own INHERIT. The membership goes with the account.
 */
async function joinAccount(client: Client, account: string): Promise<void> {
  const { rows } = await client.query<{ joined: boolean; inherits: boolean }>(
    `SELECT pg_has_role(current_user, $1, 'USAGE') AS joined,
            current_setting('server_version_num')::int >= 160000 AS inherits`,
    [account],
  );
  if (rows[0]?.joined === true) return;
  const terms = rows[0]?.inherits === true ? ' WITH INHERIT TRUE' : '';
  await client.query(`GRANT ${escapeIdentifier(account)} TO CURRENT_USER${terms}`);
}

async function endSessions(client: Client, oid: string, deadline: Deadline): Promise<void> {
  while (deadline.left() > 0) {
    const { rowCount } = await client.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = $1',
      [oid],
    );
    if (rowCount === 0) return;
    await sleep(lookMs);
  }
  throw refuse('slow');
}

/** The databases where something still hangs on the role; what databases share is handled from the first one. */
async function databasesOf(client: Client, oid: string, first: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT DISTINCT coalesce(d.datname, $2)::text AS name
       FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid
      WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = $1`,
    [oid, first],
  );
  return rows.map(({ name }) => name);
}

/** Hands on what the account owns in this database, and takes back what it was granted there. */
async function disown(client: Client, account: string, role: string): Promise<void> {
  const from = escapeIdentifier(account);
  await client.query(`BEGIN; REASSIGN OWNED BY ${from} TO ${escapeIdentifier(role)}; DROP OWNED BY ${from}`);
  await client.query('COMMIT');
}
