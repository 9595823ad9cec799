import type { Deadline } from '../../lib/deadline.ts';
import type { Client } from './connection.ts';
import { throughRaces } from './races.ts';
import { block, endSessionsBy, join, leave, literal, sessions } from './sql.ts';

export interface Returned {
  readonly account: string;
  /** That of whose issuance it is to be taken back. */
  readonly comment: string;
  /** The password for whoever has it next. */
  readonly next?: { readonly verifier: string; readonly comment: string } | undefined;
}

/**
 * Takes a pool's user back from the issuance that its comment names, and from no other: no more logins, its sessions, and
 * only then is it free, with another password or none. Of each step that changes the user's row the comment is looked at
 * again after, when nobody else can change it any more.
 */
export async function release(client: Client, returned: Returned, deadline: Deadline): Promise<void> {
  const sql = block(releaseBlock(returned));
  await throughRaces(deadline, () => client.query(sql));
}

const releaseBlock = ({ account, comment, next }: Returned): string => {
  const password = next === undefined ? 'NULL' : literal(next.verifier);
  const held = `shobj_description(one.oid, 'pg_authid') = ${literal(comment)}`;
  const unlessHeld = `IF (${held}) IS NOT TRUE THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF;`;
  const terminate = `PERFORM pg_terminate_backend(pid) FROM ${sessions} AND ${held};`;
  return `
DECLARE
  one record;
  joined boolean;
BEGIN
  SELECT oid, rolname INTO one FROM pg_roles
   WHERE rolname = ${literal(account)} AND shobj_description(oid, 'pg_authid') = ${literal(comment)};
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF EXISTS (SELECT FROM ${sessions}) THEN
    ${join}
    -- First, as one that has changed its own password and not committed holds the role's row.
    ${terminate}
  END IF;
  EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL', one.rolname);
  ${unlessHeld}
  COMMIT;
  ${endSessionsBy(terminate)}
  ${leave}
  -- Now that no session of its own is left that could change the password once more.
  EXECUTE format('ALTER ROLE %I PASSWORD %L VALID UNTIL %L', one.rolname, ${password}::text, clock_timestamp());
  ${unlessHeld}
  EXECUTE format('COMMENT ON ROLE %I IS %L', one.rolname, ${literal(next?.comment ?? 'hallpass')});
END`;
};
