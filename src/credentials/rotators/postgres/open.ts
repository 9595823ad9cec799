import { escapeIdentifier } from 'pg';
import { before, type Deadline } from '../../../lib/deadline.ts';
import { Refusal } from '../../../lib/refusal.ts';
import type { AdminLogin } from '../../admin-login.ts';
import { type Client, close, connect } from '../../postgres/connection.ts';
import { lockKey } from '../../postgres/lock.ts';
import { fromDriver, refuse } from '../../postgres/refuse.ts';
import { scramVerifier } from '../../postgres/scram.ts';
import { literal } from '../../postgres/sql.ts';
import type { Rotator, RotatorDeps, TurnsConfig } from '../../rotator.ts';
import { changer, lockOf, madeLogin, nextLogin } from '../turns.ts';

/**
 * While the value is tried and stored the session waits, for less than a request may take: it is not ended for that, and
 * does not keep the lock for hours when the machine here is gone. And a password is stored only once the server would still
 * have it after a crash.
 */
const settings = `
  SELECT set_config(name, CASE name WHEN 'synchronous_commit' THEN 'on' ELSE '60s' END, false) FROM pg_settings
   WHERE name = 'idle_session_timeout' OR (name = 'synchronous_commit' AND setting = 'off')`;

/** Two login roles of PostgreSQL that take turns. */
export function open(entry: unknown, deps: RotatorDeps): Rotator {
  const config = entry as TurnsConfig;
  const key = lockKey(lockOf(config));

  /** One connection, for this work alone; whatever goes wrong, it is cut. */
  async function as<T>(login: AdminLogin, deadline: Deadline, work: (client: Client) => Promise<T>): Promise<T> {
    const connection = await said(connect(config, config.database, login, deadline, deps.now));
    try {
      const done = await before(
        deadline,
        () => refuse('slow'),
        () => work(connection.client),
      );
      close(connection);
      return done;
    } catch (error) {
      connection.socket.destroy();
      throw error;
    }
  }

  return {
    async alone(current, deadline, work) {
      const login = await changer(config, current, deps, deadline);
      return as(login, deadline, async (client) => {
        await said(client.query(settings));
        // Held until the connection ends; what another rotation did meanwhile is seen by who waited.
        const { rows } = await said(client.query(`SELECT pg_backend_pid() AS pid, pg_advisory_lock(${key})`));
        return work({
          next: (now, until) => nextLogin(config, now, deps, until),
          async set(next) {
            const { username, password } = madeLogin(next);
            const verifier = await scramVerifier(password, deps.random);
            await said(client.query(`ALTER ROLE ${escapeIdentifier(username)} PASSWORD ${literal(verifier)}`));
          },
          try: (next, until) =>
            as(madeLogin(next), until, async (own) => {
              await said(own.query('SELECT 1'));
            }),
          async stillAlone() {
            // Behind a pooler another session may answer than the one that has the lock.
            const mine = await said(client.query(`SELECT pid FROM pg_locks ${holding(key)}`));
            if (mine.rows[0]?.pid !== rows[0]?.pid) throw refuse('lost_lock');
          },
        });
      });
    },
  };
}

/** An advisory lock of 64 bits stands in two numbers of 32. */
const holding = (key: string): string =>
  `WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid = pg_backend_pid()
     AND (classid::bigint << 32) | objid::bigint = ${key}`;

/** What the driver throws, in our words. */
async function said<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof Refusal ? error : fromDriver(error);
  }
}
