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
import { changer, madeLogin, nextLogin } from '../turns.ts';

/** Two login roles of PostgreSQL that take turns. */
export function open(entry: unknown, deps: RotatorDeps): Rotator {
  const config = entry as TurnsConfig;

  /** One connection, for this work alone; whatever goes wrong, it is cut. */
  async function as<T>(login: AdminLogin, deadline: Deadline, work: (client: Client) => Promise<T>): Promise<T> {
    try {
      const connection = await connect(config, config.database, login, deadline, deps.now);
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
    } catch (error) {
      throw error instanceof Refusal ? error : fromDriver(error);
    }
  }

  return {
    async alone(current, deadline, work) {
      const login = await changer(config, current, deps, deadline);
      return as(login, deadline, async (client) => {
        // Held until the connection ends; what another rotation did meanwhile is seen by who waited.
        await client.query(`SELECT pg_advisory_lock(${lockKey(`rotate ${config.users.join(' ')}`)})`);
        return work({
          next: (now) => nextLogin(config, now, deps.random),
          async set(next) {
            const { username, password } = madeLogin(next);
            const verifier = await scramVerifier(password, deps.random);
            await client
              .query(`ALTER ROLE ${escapeIdentifier(username)} PASSWORD ${literal(verifier)}`)
              .catch((error) => {
                throw fromDriver(error);
              });
          },
          async try(next, until) {
            await as(madeLogin(next), until, (own) => own.query('SELECT 1'));
            // Without the connection there is no lock either.
            await client.query('SELECT 1').catch((error) => {
              throw fromDriver(error);
            });
          },
        });
      });
    },
  };
}
