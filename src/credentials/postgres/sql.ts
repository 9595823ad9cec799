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

/**
 * Logins, whosever they are, that have passed the look at their role's rights and are in nobody's name yet: from there to
 * its beginning a session holds this lock. Whoever logs in decides for how long, up to half an hour (`post_auth_delay`).
 */
const logins = `pg_locks l
  WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid()
    AND NOT EXISTS (SELECT FROM pg_stat_get_activity(NULL) a
                     WHERE a.pid = l.pid AND (a.usesysid IS NOT NULL OR a.backend_type <> 'client backend'))`;

/** A login of anybody takes far less; one that takes longer may be the account's, and ends. */
const longestLogin = "interval '250ms'";

/** Whether an admin that may end anybody's may take the account's place, which may end its own alone. */
const mayBe = `pg_has_role(session_user, one.oid,
             CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
             AND has_function_privilege(one.oid, 'pg_catalog.pg_terminate_backend'::regproc, 'EXECUTE')`;

/**
 * Ends its sessions, and logins that were under way, and waits until they are gone. Whose a login is nobody can see, but the
 * account may end its own only.
 */
export const endSessions = endSessionsBy(terminate);

/** The same, where sessions are told to end by `told`, and where that finds none but logins any more there is nothing to do. */
export function endSessionsBy(told: string): string {
  return `
  DECLARE
    starting int[] := ARRAY(SELECT pid FROM ${logins});
    late timestamptz := clock_timestamp() + ${longestLogin};
    over boolean;
    login int;
    self text := current_setting('role');
  BEGIN
    LOOP
      starting := ARRAY(SELECT pid FROM ${logins} AND pid = ANY(starting));
      -- What is no login any more is a session by now, and seen as one.
      PERFORM pg_stat_clear_snapshot();
      EXIT WHEN cardinality(starting) = 0 AND NOT EXISTS (SELECT FROM ${sessions});
      -- Looked at once: who has not joined may end nothing, and would take the account's login for another's.
      over := clock_timestamp() > late;
      IF over OR EXISTS (SELECT FROM ${sessions}) THEN
        ${join}
      END IF;
      ${told}
      EXIT WHEN NOT FOUND AND cardinality(starting) = 0;
      IF over THEN
        FOREACH login IN ARRAY starting LOOP
          BEGIN
            IF ${mayBe} THEN
              EXECUTE format('SET LOCAL ROLE %I', one.rolname);
            END IF;
            PERFORM pg_terminate_backend(login), set_config('role', self, true);
          EXCEPTION WHEN insufficient_privilege THEN
            starting := array_remove(starting, login);
          END;
        END LOOP;
      END IF;
      PERFORM pg_sleep(0.003);
    END LOOP;
  END;`;
}
