import { sha256, toHex } from '../../../lib/bytes.ts';
import type { ReadRef } from '../../../lib/ref.ts';
import { type Connected, openConnections, refuse } from '../../mysql/connection.ts';
import { dialectOf } from '../../mysql/dialect.ts';
import { secondsLeft } from '../../mysql/lock.ts';
import { quoted, quotedAccount } from '../../mysql/names.ts';
import type { Rotator, RotatorDeps, TurnsConfig } from '../../rotator.ts';
import { changer, lockOf, madeLogin, nextLogin } from '../turns.ts';

/** Both users may log in from anywhere, as far as the server knows them. */
const from = '%';
/** A session waits for less than a request may take; when the machine here is gone, it keeps the lock no longer than this. */
const idleSeconds = 60;
/** Every login is given: none is read by the connection itself. */
const unread: ReadRef = () => Promise.reject(refuse('bad_admin'));

/** Two users of MySQL or MariaDB that take turns. */
export function open(entry: unknown, deps: RotatorDeps): Rotator {
  const config = entry as TurnsConfig;
  const connected: Connected = openConnections(config, unread);
  // A lock's name has 64 characters at most.
  const lock = `'hallpass/${toHex(sha256(lockOf(config))).slice(0, 32)}'`;
  return {
    async alone(current, deadline, work) {
      const login = await changer(config, current, deps, deadline);
      return connected(
        deadline,
        async (client) => {
          // Held until the connection ends; what another rotation did meanwhile is seen by who waited.
          const seconds = secondsLeft(deadline);
          const [row] = await client.query(
            `SET SESSION lock_wait_timeout = ${seconds}, wait_timeout = ${idleSeconds}; SELECT GET_LOCK(${lock}, ${seconds}) AS ours, VERSION() AS version`,
          );
          if (Number(row?.ours) !== 1) throw refuse('slow');
          const dialect = dialectOf(String(row?.version));
          return work({
            next: (now, until) => nextLogin(config, now, deps, until),
            async set(next) {
              const { username, password } = madeLogin(next);
              const identified = await dialect.identified(password, deps.random);
              await client.query(`ALTER USER ${quotedAccount(username, from)} ${identified}`);
            },
            async try(next, until) {
              await connected(until, (own) => own.query(`USE ${quoted(config.database)}`), madeLogin(next));
            },
            async stillAlone() {
              // Behind a pooler another session may answer than the one that has the lock.
              const [mine] = await client.query(`SELECT IS_USED_LOCK(${lock}) = CONNECTION_ID() AS ours`);
              if (Number(mine?.ours) !== 1) throw refuse('lost_lock');
            },
          });
        },
        login,
      );
    },
  };
}
