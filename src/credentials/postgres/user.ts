import { escapeIdentifier } from 'pg';
import { toBase64Url } from '../../lib/bytes.ts';
import { Secret } from '../../lib/secret.ts';
import { instantMs } from '../../lib/time.ts';
import { accountOf } from '../account.ts';
import { commentOf } from './account.ts';
import { dataOf } from './data.ts';
import { lockKey } from './lock.ts';
import { scramVerifier } from './scram.ts';
import { literal, statements, within } from './sql.ts';
import type { Mode, ModeDeps } from './target.ts';

const passwordBytes = 32;

/** Mode `user`: a login role made for one issuance. */
export function openUser({ config, deps, admin }: ModeDeps): Mode {
  return {
    account: accountOf,
    async make({ id, expiresAt, deadline }) {
      const name = accountOf(id);
      const password = toBase64Url(deps.random(passwordBytes));
      const verifier = await scramVerifier(password, deps.random, config.iterations);
      const account = escapeIdentifier(name);
      // What it creates belongs to the configured role, and outlives it.
      const create = [
        `CREATE ROLE ${account} LOGIN INHERIT PASSWORD ${literal(verifier)} VALID UNTIL ${literal(instantMs(expiresAt))}
           IN ROLE ${escapeIdentifier(config.role)}`,
        `ALTER ROLE ${account} SET role = ${literal(config.role)}`,
        `COMMENT ON ROLE ${account} IS ${literal(commentOf(id, deps.name))}`,
      ];
      // An undo that comes while the outcome here is unknown waits for the lock, and looks only once this transaction has
      // ended. COMMIT goes out alone, when all before it was answered.
      const lock = `SELECT pg_advisory_xact_lock(${lockKey(name)})`;
      await admin(deadline, async (client) => {
        await client.query(statements('BEGIN', within(deadline), lock, ...create));
        await client.query('COMMIT');
      });
      return { data: dataOf(config, name, password), fingerprinted: new Secret(password) };
    },
    async renew({ issuance }, expiresAt, deadline) {
      const prolong = `ALTER ROLE ${escapeIdentifier(accountOf(issuance))} VALID UNTIL ${literal(instantMs(expiresAt))}`;
      await admin(deadline, async (client) => {
        await client.query(prolong);
      });
    },
  };
}
