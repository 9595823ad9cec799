import { Socket } from 'node:net';
import mysql from 'mysql2';
import { before, type Deadline } from '../../lib/deadline.ts';
import type { ReadRef, Ref } from '../../lib/ref.ts';
import { Refusal } from '../../lib/refusal.ts';
import { type Address, usesTls } from '../address.ts';
import { type AdminLogin, readAdminLogin } from '../admin-login.ts';

export type Row = Readonly<Record<string, unknown>>;

export interface Client {
  /** Runs statements, parted by semicolons. @returns the rows of the last one; @throws what the driver throws */
  query(text: string): Promise<readonly Row[]>;
}

export interface AdminConfig extends Address {
  readonly admin?: Ref | undefined;
}

/** Runs work on a connection of its own, as the configured admin where no other login is given. */
export type Connected = <T>(deadline: Deadline, work: (client: Client) => Promise<T>, login?: AdminLogin) => Promise<T>;

/** How long a connection may take to say goodbye, milliseconds. */
const goodbyeMs = 1_000;

/**
 * Connections to the configured server. All of it ends by the deadline, whatever the server does; then the socket is
 * closed, so that nothing more of the work can reach the server.
 *
 * @returns a function that rejects with Refusal store_failed or store_timeout, without a word of the server's
 */
export function openConnections(config: AdminConfig, read: ReadRef): Connected {
  return async (deadline, work, login) => {
    const socket = new Socket();
    try {
      const result = await before(
        deadline,
        () => refuse('slow'),
        async () => {
          const as = login ?? (config.admin && (await readAdminLogin(read, config.admin, deadline)));
          if (as === undefined) throw refuse('bad_admin');
          if (deadline.left() <= 0) throw refuse('slow');
          const connection = await connect(config, as, socket);
          const done = await work({ query: (text) => query(connection, text) });
          connection.end(() => {});
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

function connect(config: AdminConfig, login: AdminLogin, socket: Socket) {
  const { host, port } = config;
  const connection = mysql.createConnection({
    host,
    port,
    user: login.username,
    password: login.password,
    stream: () => socket.connect({ host, port, noDelay: true }),
    ...(usesTls(config) ? { ssl: { rejectUnauthorized: true, verifyIdentity: true } } : {}),
    // The deadline is ours to keep.
    connectTimeout: 0,
    // Several statements go out at once; none has a place for anything but names that are quoted and hexadecimal digits.
    multipleStatements: true,
    // Else a server could ask for the files of this machine.
    flags: ['-LOCAL_FILES'],
    disableEval: true,
    trace: false,
  });
  // An error between two queries is met by the next query; without a listener it would end the process.
  connection.on('error', () => {});
  return new Promise<mysql.Connection>((resolve, reject) => {
    connection.once('connect', () => resolve(connection));
    connection.once('error', reject);
  });
}

const query = (connection: mysql.Connection, text: string) =>
  new Promise<readonly Row[]>((resolve, reject) => {
    connection.query(text, (error, result) => (error ? reject(error) : resolve(lastRows(result))));
  });

/** Of one statement its rows or its outcome; of several a list of these. */
function lastRows(result: unknown): readonly Row[] {
  const last = Array.isArray(result) && isResult(result.at(-1)) ? result.at(-1) : result;
  return Array.isArray(last) ? last : [];
}

const isResult = (value: unknown): boolean =>
  Array.isArray(value) || (value as { affectedRows?: unknown } | undefined)?.affectedRows !== undefined;

/** The server's error number; undefined for what the server did not say. */
export function errnoOf(error: unknown): number | undefined {
  const { errno, sqlState } = (error ?? {}) as { errno?: unknown; sqlState?: unknown };
  return typeof errno === 'number' && errno >= 1000 && typeof sqlState === 'string' ? errno : undefined;
}

/** Timeouts of the server's own: lock_wait_timeout, max_statement_time, max_execution_time. */
const slow: ReadonlySet<number> = new Set([1205, 1969, 3024]);

function fromDriver(error: unknown): Refusal {
  const errno = errnoOf(error);
  if (errno === undefined) return refuse('unreachable');
  return slow.has(errno) ? refuse('slow') : refuse(`errno_${errno}`);
}

export const refuse = (reason: string): Refusal =>
  new Refusal(reason === 'slow' ? 'store_timeout' : 'store_failed', reason, { facts: { kind: 'mysql', reason } });
