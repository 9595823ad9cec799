import type { Deadline } from '../../lib/deadline.ts';
import type { AdminLogin } from '../admin-login.ts';
import { type Client, type Connected, errnoOf, refuse } from './connection.ts';
import { type Dialect, ownDefaultRole } from './dialect.ts';
import { secondsLeft, takeLock } from './lock.ts';
import { quoted, quotedAccount } from './names.ts';

export interface NewAccount {
  readonly name: string;
  readonly password: string;
  /** The pattern of hosts it may log in from. */
  readonly from: string;
  /** The configured role it is granted, and has by default. */
  readonly role: string;
}

/** ER_DBACCESS_DENIED_ERROR: in MariaDB another's default role is for those who may write to the `mysql` database. */
const noDefaultForOthers = 1044;

/**
 * Makes a user under a lock that an undo waits for, and which is ours before anything that makes one goes out: an undo
 * that comes while the outcome here is unknown looks only once this connection has ended. No statement of these rolls
 * another back; what is left half-made is for undo.
 */
export function makeAccount(
  connected: Connected,
  { name, password, from, role }: NewAccount,
  random: (bytes: number) => Uint8Array,
  deadline: Deadline,
): Promise<void> {
  return connected(deadline, async (client) => {
    const dialect = await takeLock(client, name, secondsLeft(deadline), deadline);
    if (dialect === undefined) throw refuse('slow');
    const account = quotedAccount(name, from);
    const identified = await dialect.identified(password, random);
    const create = [
      `CREATE USER ${account} ${identified} ${dialect.comment}`,
      `GRANT ${quoted(role)} TO ${account}`,
      dialect.defaultRole(quoted(role), account),
    ];
    const itself = { username: name, password };
    await client.query(create.join('; ')).catch(orByItself(connected, itself, role, deadline));
  });
}

/**
 * Sees to it that there is a user with this password, which is not shut and has the role. Of one that is there, only that
 * is changed. The caller has its turn at it.
 */
export async function provideAccount(
  connected: Connected,
  client: Client,
  dialect: Dialect,
  { name, password, from, role }: NewAccount,
  random: (bytes: number) => Uint8Array,
  deadline: Deadline,
): Promise<void> {
  const account = quotedAccount(name, from);
  const identified = await dialect.identified(password, random);
  const users = await client.query(dialect.users(name));
  const known = users.find(({ host }) => String(host).toLowerCase() === from.toLowerCase());
  const statements = [`ALTER USER ${account} ${identified} ACCOUNT UNLOCK`, `GRANT ${quoted(role)} TO ${account}`];
  if (known === undefined) statements.unshift(`CREATE USER IF NOT EXISTS ${account} ${identified} ACCOUNT LOCK`);
  // The last one, as it may fail.
  if (known?.role !== role) statements.push(dialect.defaultRole(quoted(role), account));
  const itself = { username: name, password };
  await client.query(statements.join('; ')).catch(orByItself(connected, itself, role, deadline));
}

/** Where the admin may not set another's default role, the account sets it itself. */
const orByItself =
  (connected: Connected, itself: AdminLogin, role: string, deadline: Deadline) =>
  async (error: unknown): Promise<void> => {
    if (errnoOf(error) !== noDefaultForOthers) throw error;
    await connected(deadline, (own) => own.query(ownDefaultRole(role)), itself);
  };
