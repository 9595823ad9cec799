import { isUlid } from '../../lib/ulid.ts';
import type { Lease } from '../kind.ts';
import { shapeOf } from './account.ts';
import type { Client } from './connection.ts';

const most = 10_000;

/** The account with this comment. */
export async function findAccount(client: Client, comment: string): Promise<string | undefined> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT rolname::text AS name FROM pg_roles
      WHERE rolname LIKE 'hp\\_%' AND shobj_description(oid, 'pg_authid') = $1 LIMIT 1`,
    [comment],
  );
  return rows[0]?.name;
}

/** The accounts that this credential has made or handed over and not ended: members of its role, by name and comment. */
export async function listAccounts(client: Client, role: string, credential: string): Promise<Lease[]> {
  const { rows } = await client.query<{ account: string; issuance: string }>(
    `SELECT account, split_part(comment, ' ', 2) AS issuance
       FROM (SELECT rolname::text AS account, oid, shobj_description(oid, 'pg_authid') AS comment
               FROM pg_roles WHERE rolname LIKE 'hp\\_%') r
      WHERE comment = 'hallpass ' || split_part(comment, ' ', 2) || ' ' || $1
        AND EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                     WHERE m.member = r.oid AND g.rolname = $2)
      ORDER BY account LIMIT ${most}`,
    [credential, role],
  );
  return rows.filter(({ account, issuance }) => shapeOf(account) !== undefined && isUlid(issuance));
}
