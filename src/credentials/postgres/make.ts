import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Client } from './admin.ts';
import { lockKey } from './lock.ts';

export interface NewAccount {
  readonly name: string;
  /** The configured role it becomes a member of, and acts as. */
  readonly role: string;
  readonly verifier: string;
  /** RFC 3339. */
  readonly validUntil: string;
}

/**
 * Makes a login role in one transaction, under a lock that an undo waits for: an undo that comes while the outcome here
 * is unknown looks only once this transaction has ended. COMMIT goes out alone, when all before it was answered.
 */
export async function makeAccount(client: Client, { name, role, verifier, validUntil }: NewAccount): Promise<void> {
  const account = escapeIdentifier(name);
  await client.query(
    [
      'BEGIN',
      `SELECT pg_advisory_xact_lock(${lockKey(name)})`,
      `CREATE ROLE ${account} LOGIN INHERIT PASSWORD ${escapeLiteral(verifier)} VALID UNTIL ${escapeLiteral(validUntil)}`,
      `GRANT ${escapeIdentifier(role)} TO ${account}`,
      // What it creates belongs to the configured role, and outlives it.
      `ALTER ROLE ${account} SET role = ${escapeLiteral(role)}`,
      `COMMENT ON ROLE ${account} IS 'made by hallpass for one issuance'`,
    ].join('; '),
  );
  await client.query('COMMIT');
}
