import type { Deadline } from '../../lib/deadline.ts';
import { type Connected, errnoOf, refuse } from './connection.ts';
import { ownDefaultRole } from './dialect.ts';
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
    try {
      await client.query(
        [
          `CREATE USER ${account} ${identified} ${dialect.comment}`,
          `GRANT ${quoted(role)} TO ${account}`,
          dialect.defaultRole(quoted(role), account),
        ].join('; '),
      );
    } catch (error) {
      if (errnoOf(error) !== noDefaultForOthers) throw error;
      const itself = { username: name, password };
      await connected(deadline, (own) => own.query(ownDefaultRole(role)), itself);
    }
  });
}
