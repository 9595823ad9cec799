import type { Deadline } from '../../lib/deadline.ts';
import type { Client } from './connection.ts';
import { throughRaces } from './races.ts';
import { block, join, leave, literal } from './sql.ts';

/**
 * Takes a pool's user back from the issuance that its comment names, and from no other: no more logins and no password,
 * its sessions, and only then is it free. Of each step that changes the user's row the comment is looked at again after,
 * when nobody else can change it any more.
 */
export async function release(client: Client, account: string, comment: string, deadline: Deadline): Promise<void> {
  const sql = block(releaseBlock(account, comment));
  await throughRaces(deadline, () => client.query(sql));
}

const releaseBlock = (account: string, comment: string): string => {
  const held = `shobj_description(one.oid, 'pg_authid') = ${literal(comment)}`;
  const unlessHeld = `IF (${held}) IS NOT TRUE THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF;`;
  const terminate = `PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = one.oid AND ${held};`;
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
  IF EXISTS (SELECT FROM pg_stat_activity WHERE usesysid = one.oid) THEN
    ${join}
    -- First, as one that has changed its own password and not committed holds the role's row.
    ${terminate}
  END IF;
  EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL', one.rolname);
  ${unlessHeld}
  COMMIT;
  LOOP
    EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE usesysid = one.oid);
    ${join}
    ${terminate}
    EXIT WHEN NOT FOUND;
    PERFORM pg_sleep(0.003), pg_stat_clear_snapshot();
  END LOOP;
  ${leave}
  EXECUTE format('ALTER ROLE %I VALID UNTIL %L', one.rolname, clock_timestamp());
  ${unlessHeld}
  EXECUTE format('COMMENT ON ROLE %I IS %L', one.rolname, 'hallpass');
END`;
};
