import type { Deadline } from '../../lib/deadline.ts';
import type { Client } from './connection.ts';
import { lockKey } from './lock.ts';
import { block, literal, statements, within } from './sql.ts';

export interface SharedAccount {
  readonly name: string;
  readonly role: string;
  readonly verifier: string;
  readonly comment: string;
}

/**
 * Sees to it that a shared account is there until `until` at least (RFC 3339), under its lock. Of one that is there the
 * password is put back, as a holder can change it. @throws with SQLSTATE 42704 where only its name is known and it is gone
 */
export async function reach(
  client: Client,
  account: SharedAccount | Pick<SharedAccount, 'name'>,
  until: string,
  deadline: Deadline,
): Promise<void> {
  const lock = `SELECT pg_advisory_xact_lock(${lockKey(account.name)})`;
  await client.query(statements(within(deadline), lock, block(reachBlock(account, until))));
}

function reachBlock(account: SharedAccount | Pick<SharedAccount, 'name'>, until: string): string {
  const name = literal(account.name);
  const known = 'verifier' in account ? account : undefined;
  const password = known === undefined ? '' : `|| format(' LOGIN PASSWORD %L', ${literal(known.verifier)})`;
  const create =
    known === undefined
      ? `RAISE undefined_object;`
      : `
    EXECUTE format('CREATE ROLE %I LOGIN INHERIT PASSWORD %L VALID UNTIL %L IN ROLE %I',
                   ${name}, ${literal(known.verifier)}, ${literal(until)}, ${literal(known.role)});
    EXECUTE format('ALTER ROLE %I SET role = %L', ${name}, ${literal(known.role)});
    EXECUTE format('COMMENT ON ROLE %I IS %L', ${name}, ${literal(known.comment)});`;
  return `
DECLARE
  now_until timestamptz;
BEGIN
  SELECT rolvaliduntil INTO now_until FROM pg_roles WHERE rolname = ${name};
  IF FOUND THEN
    EXECUTE format('ALTER ROLE %I VALID UNTIL %L', ${name}, greatest(now_until, ${literal(until)})) ${password};
  ELSE ${create}
  END IF;
END`;
}
