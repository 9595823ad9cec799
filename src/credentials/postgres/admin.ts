import { before, type Deadline } from '../../lib/deadline.ts';
import type { Ref } from '../../lib/ref.ts';
import { Refusal } from '../../lib/refusal.ts';
import type { Address } from '../address.ts';
import { readAdminLogin } from '../admin-login.ts';
import type { KindDeps } from '../kind.ts';
import { type Client, type Connection, close, connect } from './connection.ts';
import { keepConnections } from './kept.ts';
import { fromDriver, refuse, stateOf } from './refuse.ts';

export interface AdminConfig extends Address {
  readonly database: string;
  readonly admin: Ref;
}

/**
 * Runs work on an admin connection to one database, which is of this work alone until it ends. The work leaves no
 * transaction, lock or setting behind, and may be done twice: where a connection kept from before turns out to be lost, it
 * is done again on a new one.
 */
export type AsAdmin = <T>(database: string, deadline: Deadline, work: (client: Client) => Promise<T>) => Promise<T>;

/**
 * Connections as the configured admin, some of them kept for a while. All work ends by the deadline, whatever the server
 * does; then the socket is closed, so that nothing more of it can reach the server. So it is after any error.
 *
 * @returns a function that rejects with Refusal store_failed or store_timeout, without a word of the server's
 */
export function openAdmin(config: AdminConfig, most: number, { read, now }: Pick<KindDeps, 'read' | 'now'>): AsAdmin {
  const kept = keepConnections(most, now);

  async function begin(database: string, deadline: Deadline): Promise<Connection> {
    const login = await before(deadline, tooSlow, () => readAdminLogin(read, config.admin, deadline));
    if (login === undefined) throw refuse('bad_admin');
    return connect(config, database, login, deadline, now);
  }

  async function use<T>(connection: Connection, deadline: Deadline, work: (client: Client) => Promise<T>): Promise<T> {
    try {
      return await before(deadline, tooSlow, () => work(connection.client));
    } catch (error) {
      connection.socket.destroy();
      throw error;
    }
  }

  return async (database, deadline, work) => {
    const main = database === config.database;
    const run = async <T>(connection: Connection, work: (client: Client) => Promise<T>): Promise<T> => {
      const result = await use(connection, deadline, work);
      if (main) kept.put(connection);
      else close(connection);
      return result;
    };
    try {
      const known = main ? await kept.take() : undefined;
      if (known === undefined) return await run(await begin(database, deadline), work);
      return await run(known, work).catch(async (error) => {
        if (!isLost(error)) throw error;
        return run(await begin(database, deadline), work);
      });
    } catch (error) {
      throw error instanceof Refusal ? error : fromDriver(error);
    }
  };
}

const tooSlow = () => refuse('slow');

/** The connection went, or the server ended it: operator intervention, class 57P. */
const isLost = (error: unknown): boolean => !(error instanceof Refusal) && (stateOf(error)?.startsWith('57P') ?? true);
