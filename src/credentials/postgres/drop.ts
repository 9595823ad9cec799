import { escapeIdentifier } from 'pg';
import type { Deadline } from '../../lib/deadline.ts';
import type { AdminConfig, AsAdmin } from './admin.ts';
import type { Client } from './connection.ts';
import { lockKey } from './lock.ts';
import { elsewhere, throughRaces } from './races.ts';
import { stateOf } from './refuse.ts';
import { block, endSessions, join, literal, terminate } from './sql.ts';

export interface Doomed {
  readonly account: string;
  /** Gets what the account owns. */
  readonly role: string;
  /** Only once nobody's lease on it is alive. */
  readonly onlyOver: boolean;
}

/**
 * Ends an account: no more logins, its sessions, what it owns goes to the configured role, the role itself. Each step may
 * have been done before; an account that is not there is fine.
 */
export async function dropAccount(
  asAdmin: AsAdmin,
  { database }: AdminConfig,
  doomed: Doomed,
  deadline: Deadline,
): Promise<void> {
  const sql = block(dropBlock(doomed));
  await asAdmin(database, deadline, (client) =>
    throughRaces(deadline, async () => {
      try {
        await client.query(sql);
      } catch (error) {
        if (stateOf(error) !== elsewhere) throw error;
        for (const name of await otherDatabases(client, doomed.account))
          await asAdmin(name, deadline, (other) => disown(other, doomed));
        throw error;
      }
    }),
  );
}

/**
 * The account's lock is held to the end: neither a make whose outcome is unknown nor a second undo runs beside this one.
 * Anybody in the database can take it too, the account itself for one: so where it is taken, the account is shut before it
 * is waited for. What fails there may be another undo's doing; what must not fail is done again with the lock in hand.
 */
const dropBlock = ({ account, role, onlyOver }: Doomed): string => {
  const find = `SELECT oid, rolname INTO one FROM pg_roles
    WHERE rolname = ${literal(account)} ${onlyOver ? 'AND rolvaliduntil <= clock_timestamp()' : ''};`;
  return `
DECLARE
  one record;
  joined boolean;
BEGIN
  IF NOT pg_try_advisory_lock(${lockKey(account)}) THEN
    ${onlyOver ? '' : `BEGIN ${find} IF FOUND THEN ${shut} END IF; EXCEPTION WHEN OTHERS THEN NULL; END;`}
    COMMIT;
    PERFORM pg_advisory_lock(${lockKey(account)});
  END IF;
  ${find}
  IF FOUND THEN
    ${shut}
    COMMIT;
    ${endSessions}
    IF EXISTS (SELECT ${dependents} AND dbid NOT IN (0, ${thisDatabase})) THEN
      RAISE EXCEPTION USING ERRCODE = '${elsewhere}';
    END IF;
    IF EXISTS (SELECT ${dependents}) THEN
      EXECUTE format('REASSIGN OWNED BY %I TO %I', one.rolname, ${literal(role)});
      EXECUTE format('DROP OWNED BY %I', one.rolname);
    END IF;
    EXECUTE format('DROP ROLE IF EXISTS %I', one.rolname);
    COMMIT;
  END IF;
  PERFORM pg_advisory_unlock_all();
END`;
};

/** Its sessions first: one that has changed its own password and not committed holds the role's row. */
const shut = `
  ${join}
  ${terminate}
  EXECUTE format('ALTER ROLE %I NOLOGIN', one.rolname);`;

const dependents = `FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = one.oid`;
const thisDatabase = '(SELECT oid FROM pg_database WHERE datname = current_database())';

async function otherDatabases(client: Client, account: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT DISTINCT datname::text AS name FROM pg_shdepend JOIN pg_database d ON d.oid = dbid
      WHERE refclassid = 'pg_authid'::regclass AND datname <> current_database()
        AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1)`,
    [account],
  );
  return rows.map(({ name }) => name);
}

/** Hands on what the account owns in this database, and takes back what it was granted there. */
async function disown(client: Client, { account, role }: Doomed): Promise<void> {
  const from = escapeIdentifier(account);
  await client.query(`BEGIN; REASSIGN OWNED BY ${from} TO ${escapeIdentifier(role)}; DROP OWNED BY ${from}`);
  await client.query('COMMIT');
}
