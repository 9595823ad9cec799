import { Socket } from 'node:net';
import pg from 'pg';
import { before, type Deadline } from '../../lib/deadline.ts';
import type { ReadRef } from '../../lib/ref.ts';
import { Refusal } from '../../lib/refusal.ts';
import { usesTls } from '../address.ts';
import { readAdminLogin } from '../admin-login.ts';
import type { PostgresConfig } from '../postgres.ts';

export type Client = pg.Client;

/** Runs work on an admin connection to one database; the connection is of this work alone and ends with it. */
export type AsAdmin = <T>(database: string, deadline: Deadline, work: (client: Client) => Promise<T>) => Promise<T>;

/** How long the server waits for us inside a transaction before it gives the transaction up, milliseconds. */
const idleMs = 10_000;
/** How long a connection may take to say goodbye, milliseconds. */
const goodbyeMs = 1_000;

/**
 * Connections as the configured admin. All of it ends by the deadline, whatever the server does; then the socket is
 * closed, so that nothing more of the work can reach the server.
 *
 * @returns a function that rejects with Refusal store_failed or store_timeout, without a word of the server's
 */
export function openAdmin(config: PostgresConfig, read: ReadRef): AsAdmin {
  return async (database, deadline, work) => {
    const socket = new Socket();
    try {
      const result = await before(
        deadline,
        () => refuse('slow'),
        async () => {
          const login = await readAdminLogin(read, config.admin, deadline);
          if (login === undefined) throw refuse('bad_admin');
          const client = new pg.Client({
            ...settings(config, deadline),
            database,
            user: login.username,
            password: login.password,
            stream: () => socket,
          });
          // An error between two queries is met by the next query; without a listener it would end the process.
          client.on('error', () => {});
          await client.connect();
          const done = await work(client);
          void client.end().catch(() => {});
          return done;
        },
      );
      socket.setTimeout(goodbyeMs, () => socket.destroy());
      return result;
    } catch (error) {
      socket.destroy();
      throw error instanceof Refusal ? error : fromDriver(error);
    }
  };
}

function settings(config: PostgresConfig, deadline: Deadline): pg.ClientConfig {
  const { host, port } = config;
  const left = Math.max(1, Math.ceil(deadline.left()));
  return {
    host,
    port,
    // Said in full: what is left out the driver takes from the environment.
    ssl: usesTls(config) ? { rejectUnauthorized: true, host } : false,
    application_name: 'hallpass',
    statement_timeout: left,
    lock_timeout: left,
    idle_in_transaction_session_timeout: idleMs,
  };
}

/** Timeouts of the server's own: query_canceled, lock_not_available, idle_in_transaction_session_timeout. */
const slow: ReadonlySet<string> = new Set(['57014', '55P03', '25P03']);

function fromDriver(error: unknown): Refusal {
  if (!(error instanceof pg.DatabaseError)) return refuse('unreachable');
  const state = /^[0-9A-Z]{5}$/.test(error.code ?? '') ? (error.code as string) : 'unknown';
  return slow.has(state) ? refuse('slow') : refuse(`sqlstate_${state}`);
}

export const refuse = (reason: string): Refusal =>
  new Refusal(reason === 'slow' ? 'store_timeout' : 'store_failed', reason, { facts: { kind: 'postgres', reason } });
