import { isUlid } from '../../lib/ulid.ts';
import type { Lease } from '../kind.ts';
import { shapeOf } from './account.ts';
import type { Client } from './connection.ts';

const most = 10_000;
/** Of those that are over, an undo ends this many at most. */
const mostOver = 20;

/** The account with this comment. */
export async function findAccount(client: Client, comment: string): Promise<string | undefined> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT rolname::text AS name FROM pg_roles
      WHERE rolname LIKE 'hp\\_%' AND shobj_description(oid, 'pg_authid') = $1 LIMIT 1`,
    [comment],
  );
  return rows[0]?.name;
}

/** Shared accounts of this credential whose time is over, first those for which it is over the longest. */
export async function listOver(client: Client, role: string, credential: string): Promise<string[]> {
  const over = `AND account LIKE 'hp\\_s\\_%' AND rolvaliduntil <= clock_timestamp() ORDER BY rolvaliduntil`;
  const { rows } = await client.query<{ account: string }>(accountsOf(over, mostOver), [credential, role]);
  return rows.map(({ account }) => account).filter((account) => shapeOf(account) === 'shared');
}

/** The accounts that this credential has made or handed over and not ended: members of its role, by name and comment. */
export async function listAccounts(client: Client, role: string, credential: string): Promise<Lease[]> {
  const { rows } = await client.query<{ account: string; issuance: string }>(accountsOf('ORDER BY account', most), [
    credential,
    role,
  ]);
  return rows.filter(({ account, issuance }) => shapeOf(account) !== undefined && isUlid(issuance));
}

/** Of the credential $1, members of the role $2. */
const accountsOf = (which: string, limit: number): string => `
  SELECT account, split_part(comment, ' ', 2) AS issuance
    FROM (SELECT rolname::text AS account, oid, rolvaliduntil, shobj_description(oid, 'pg_authid') AS comment
            FROM pg_roles WHERE rolname LIKE 'hp\\_%') r
   WHERE comment = 'hallpass ' || split_part(comment, ' ', 2) || ' ' || $1
     AND EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                  WHERE m.member = r.oid AND g.rolname = $2)
     ${which} LIMIT ${limit}`;
