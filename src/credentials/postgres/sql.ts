import pg from 'pg';
import type { Deadline } from '../../lib/deadline.ts';

export const literal = pg.escapeLiteral;

/** Statements as one message to the server: answered together, in one transaction unless they say otherwise. */
export const statements = (...texts: readonly string[]): string => texts.join('; ');

/** One block of PL/pgSQL; where it ends a transaction, it must be sent alone. */
export const block = (body: string): string => `DO ${literal(body)}`;

/** The server, too, gives up the transaction's statements by the deadline. */
export const within = (deadline: Deadline): string =>
  `SET LOCAL statement_timeout = ${Math.max(1, Math.ceil(deadline.left()))}`;

/*
 * Pieces of PL/pgSQL about the role `one` (oid, rolname).
 */

/**
 * An admin that is no superuser must be a member of the account to end its sessions and hand on what it owns; through it
 * the admin is one of the configured role as well. Since 16, whether a member has a role's rights is said with the grant,
 * before that by the member's own INHERIT.
 */
export const join = `
  IF NOT pg_has_role(current_user, one.oid, 'USAGE') THEN
    EXECUTE format('GRANT %I TO CURRENT_USER', one.rolname)
      || CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT TRUE' ELSE '' END;
    joined := true;
  END IF;`;

export const leave = `
  IF joined THEN
    EXECUTE format('REVOKE %I FROM CURRENT_USER', one.rolname);
    joined := false;
  END IF;`;

/** Its sessions; the view pg_stat_activity would be joined with much that is not asked for here. */
export const sessions = 'pg_stat_get_activity(NULL) WHERE usesysid = one.oid';

/** Tells its sessions to end. Found: there were some. */
export const terminate = `PERFORM pg_terminate_backend(pid) FROM ${sessions};`;

/** Ends its sessions and waits until they are gone. */
export const endSessions = `
  LOOP
    ${terminate}
    EXIT WHEN NOT FOUND;
    PERFORM pg_sleep(0.003), pg_stat_clear_snapshot();
  END LOOP;`;
