import type { QueryResult } from 'pg';
import type { Deadline } from '../../lib/deadline.ts';
import type { Client } from './connection.ts';
import { refuse, stateOf } from './refuse.ts';
import { block, endSessions, leave, literal, sessions, statements, within } from './sql.ts';

export interface Pool {
  /** A user's name is this and its number, 1 to `size`. */
  readonly prefix: string;
  /** 16 hexadecimal digits of the prefix. */
  readonly tag: string;
  readonly size: number;
  readonly role: string;
}

export interface Holder {
  readonly issuance: string;
  readonly comment: string;
  /** What a free user's comment begins with that has its next password; the rest is the nonce. */
  readonly mark: string;
  /** Of a password for one that has none; absent: leave such a one alone. */
  readonly verifier?: string | undefined;
  /** RFC 3339. */
  readonly until: string;
}

/** Who asks when all are held comes again no sooner and no later, seconds. */
const leastWait = 1;
const mostWait = 60;

/** A user that is free; `account` is empty where it has no password and none was given, so that it was left alone. */
export interface Taken {
  readonly account: string;
  /** Of the password it has had since it was given back; empty where it has the one that was given. */
  readonly nonce: string;
}

/**
 * Hands over a free user, of those with a password the one that has been free the longest, in one message and one
 * transaction: what sessions its holder before has left end before. A user is free once its VALID UNTIL has passed.
 * Undefined when none is.
 */
export async function handOver(
  client: Client,
  pool: Pool,
  holder: Holder,
  deadline: Deadline,
): Promise<Taken | undefined> {
  const taken = `SELECT current_setting('hallpass.taken', true) AS taken`;
  const row = await inOne<{ taken: string | null }>(client, deadline, handOverBlock(pool, holder), taken);
  if (!row.taken) return undefined;
  const [account = '', nonce = ''] = row.taken.split('/');
  return { account, nonce };
}

/** Makes the users that are not there yet. @returns when the next one will be free, seconds from now */
export async function fillPool(client: Client, pool: Pool, deadline: Deadline): Promise<number> {
  const next = `SELECT ceil(extract(epoch FROM min(rolvaliduntil) - clock_timestamp()))::float AS wait ${usersOf(pool)}`;
  const { wait } = await inOne<{ wait: number | null }>(client, deadline, fillBlock(pool), next);
  return Math.min(Math.max(wait ?? leastWait, leastWait), mostWait);
}

/** Lets the holder keep its user for longer. @throws Refusal lease_over when it is the holder no longer */
export async function prolong(client: Client, account: string, comment: string, until: string): Promise<void> {
  const sql = block(prolongBlock(account, comment, until));
  await client.query(sql).catch((error) => {
    throw stateOf(error) === heldNoLonger ? refuse('lease_over') : error;
  });
}

/** Runs a block in a transaction of its own, in one message with a SELECT. @returns the SELECT's row */
async function inOne<T>(client: Client, deadline: Deadline, body: string, select: string): Promise<T> {
  // The driver's types know of one statement only.
  const results: unknown = await client.query(statements(within(deadline), block(body), select));
  return (results as QueryResult[]).at(-1)?.rows[0] as T;
}

const usersOf = ({ prefix, size }: Pool): string =>
  `FROM pg_roles WHERE rolname LIKE ${literal(`${prefix.replaceAll('_', '\\_')}%`)}
     AND split_part(rolname, '_', 4)::int <= ${size}`;

/** The two numbers of a user's advisory lock: who has it is at this user, or was a moment ago. */
const lockOf = ({ tag }: Pool, number: string): string => `${Buffer.from(tag, 'hex').readInt32BE(0)}, ${number}`;

const handOverBlock = (pool: Pool, { issuance, comment, mark, verifier, until }: Holder): string => `
DECLARE
  one record;
  facts record;
  nonce text;
  joined boolean;
BEGIN
  LOOP
    SELECT oid, rolname INTO one
      FROM (SELECT oid, rolname, split_part(rolname, '_', 4)::int AS number
              ${usersOf(pool)} AND rolvaliduntil <= clock_timestamp()
             ORDER BY rolcanlogin, rolvaliduntil = 'epoch', rolvaliduntil OFFSET 0) free
     WHERE pg_try_advisory_xact_lock(${lockOf(pool, 'number')}) LIMIT 1;
    EXIT WHEN NOT FOUND;
    -- Whoever had the lock before may have handed it over.
    SELECT EXISTS (SELECT FROM ${sessions}) AS busy, rolcanlogin, rolconfig, shobj_description(oid, 'pg_authid') AS comment,
           EXISTS (SELECT FROM pg_db_role_setting WHERE setrole = one.oid AND setdatabase <> 0) AS set_elsewhere
      INTO facts FROM pg_roles WHERE oid = one.oid AND rolvaliduntil <= clock_timestamp();
    CONTINUE WHEN NOT FOUND;
    nonce := CASE WHEN NOT facts.rolcanlogin AND starts_with(facts.comment, ${literal(mark)})
                  THEN substr(facts.comment, ${mark.length + 1}) END;
    IF nonce IS NULL THEN
      ${verifier === undefined ? `PERFORM set_config('hallpass.taken', '/', true); EXIT;` : setPassword(verifier)}
    END IF;
    -- One that was not given back may have a login under way, too.
    IF facts.busy OR facts.rolcanlogin THEN
      ${endSessions}
      ${leave}
    END IF;
    EXECUTE format('ALTER ROLE %I LOGIN VALID UNTIL %L', one.rolname, ${literal(until)});
    -- The user itself may have set more, also for one database.
    IF facts.rolconfig[1] IS DISTINCT FROM ${literal(`role=${pool.role}`)} OR cardinality(facts.rolconfig) > 2 THEN
      EXECUTE format('ALTER ROLE %I RESET ALL', one.rolname);
      EXECUTE format('ALTER ROLE %I SET role = %L', one.rolname, ${literal(pool.role)});
    END IF;
    IF facts.set_elsewhere THEN
      ${resetElsewhere}
    END IF;
    EXECUTE format('ALTER ROLE %I SET application_name = %L', one.rolname, ${literal(`hp_${issuance}`)});
    IF NOT pg_has_role(one.oid, ${literal(pool.role)}, 'MEMBER') THEN
      EXECUTE format('GRANT %I TO %I', ${literal(pool.role)}, one.rolname);
    END IF;
    EXECUTE format('COMMENT ON ROLE %I IS %L', one.rolname, ${literal(comment)});
    PERFORM set_config('hallpass.taken', concat(one.rolname, '/', nonce), true);
    EXIT;
  END LOOP;
END`;

const setPassword = (verifier: string): string =>
  `EXECUTE format('ALTER ROLE %I PASSWORD %L', one.rolname, ${literal(verifier)});`;

const resetElsewhere = `
      FOR facts IN SELECT datname FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE setrole = one.oid LOOP
        EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET ALL', one.rolname, facts.datname);
      END LOOP;`;

const fillBlock = (pool: Pool): string => `
DECLARE
  account name;
BEGIN
  PERFORM pg_advisory_xact_lock(${lockOf(pool, '0')});
  FOR number IN 1..${pool.size} LOOP
    account := ${literal(pool.prefix)} || number;
    CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = account);
    EXECUTE format('CREATE ROLE %I NOLOGIN INHERIT VALID UNTIL ''epoch'' IN ROLE %I', account, ${literal(pool.role)});
  END LOOP;
END`;

const heldNoLonger = 'HP002';

const prolongBlock = (account: string, comment: string, until: string): string => `
DECLARE
  one record;
BEGIN
  SELECT oid, rolname INTO one FROM pg_roles
   WHERE rolname = ${literal(account)} AND rolcanlogin AND rolvaliduntil > clock_timestamp();
  IF FOUND THEN
    EXECUTE format('ALTER ROLE %I VALID UNTIL %L', one.rolname, ${literal(until)});
  END IF;
  -- The row is ours now: nobody changes it, or whose it is, before this transaction ends.
  IF NOT FOUND OR shobj_description(one.oid, 'pg_authid') IS DISTINCT FROM ${literal(comment)} THEN
    RAISE EXCEPTION USING ERRCODE = '${heldNoLonger}';
  END IF;
END`;
