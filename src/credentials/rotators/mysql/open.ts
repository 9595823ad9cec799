import type { ReadRef } from '../../../lib/ref.ts';
import { type Connected, openConnections, refuse } from '../../mysql/connection.ts';
import { secondsLeft, takeLock } from '../../mysql/lock.ts';
import { quotedAccount } from '../../mysql/names.ts';
import type { MysqlConfig } from '../../mysql.ts';
import type { Rotator, RotatorDeps, TurnsConfig } from '../../rotator.ts';
import { changer, madeLogin, nextLogin } from '../turns.ts';

/** Both users may log in from anywhere, as far as the server knows them. */
const from = '%';
/** Every login is given: none is read by the connection itself. */
const unread: ReadRef = () => Promise.reject(refuse('bad_admin'));

/** Two users of MySQL or MariaDB that take turns. */
export function open(entry: unknown, deps: RotatorDeps): Rotator {
  const config = entry as TurnsConfig;
  const connected: Connected = openConnections(config as unknown as MysqlConfig, unread);
  return {
    async alone(current, deadline, work) {
      const login = await changer(config, current, deps, deadline);
      return connected(
        deadline,
        async (client) => {
          const lock = `rotate ${config.users.join(' ')}`;
          const dialect = await takeLock(client, lock, secondsLeft(deadline), deadline);
          if (dialect === undefined) throw refuse('slow');
          return work({
            next: (now) => nextLogin(config, now, deps.random),
            async set(next) {
              const { username, password } = madeLogin(next);
              const identified = await dialect.identified(password, deps.random);
              await client.query(`ALTER USER ${quotedAccount(username, from)} ${identified}`);
            },
            async try(next, until) {
              await connected(until, (own) => own.query('SELECT 1'), madeLogin(next));
              // Without the connection there is no lock either.
              await client.query('SELECT 1');
            },
          });
        },
        login,
      );
    },
  };
}
