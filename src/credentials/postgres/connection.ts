import { Socket } from 'node:net';
import pg from 'pg';
import { before, type Deadline } from '../../lib/deadline.ts';
import { type Address, usesTls } from '../address.ts';
import type { AdminLogin } from '../admin-login.ts';
import { refuse } from './refuse.ts';

export type Client = pg.Client;

export interface Connection {
  readonly client: Client;
  readonly socket: Socket;
  /** When it was asked for, milliseconds. */
  readonly since: number;
  /** The server has ended it, or the way to it has. */
  isOver(): boolean;
}

/** A connection may take this long to say goodbye, milliseconds. */
const goodbyeMs = 1_000;
/** The server gives up what takes longer, and a transaction that waits longer for us, milliseconds. */
const serverMs = 15_000;
const idleMs = 10_000;

/** Connects as `login`. @throws Refusal slow when the deadline passes, and what the driver throws */
export async function connect(
  address: Address,
  database: string,
  { username, password }: AdminLogin,
  deadline: Deadline,
  now: () => number,
): Promise<Connection> {
  const { host, port } = address;
  const socket = new Socket();
  const since = now();
  const client = new pg.Client({
    host,
    port,
    database,
    user: username,
    password,
    stream: () => socket,
    // Said in full: what is left out the driver takes from the environment.
    ssl: usesTls(address) ? { rejectUnauthorized: true, host } : false,
    application_name: 'hallpass',
    statement_timeout: serverMs,
    lock_timeout: serverMs,
    idle_in_transaction_session_timeout: idleMs,
    // Nothing that an account made in this database answers to a name of PostgreSQL's own (CVE-2018-1058).
    options: '-c search_path=pg_catalog -c default_transaction_isolation=read\\ committed',
  });
  let over = false;
  // An error between two queries is met by the next query; without a listener it would end the process.
  for (const event of ['error', 'end'] as const)
    client.on(event, () => {
      over = true;
    });
  try {
    await before(
      deadline,
      () => refuse('slow'),
      () => client.connect(),
    );
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return { client, socket, since, isOver: () => over || socket.destroyed || socket.readableEnded };
}

/** Says goodbye; what does not answer is cut off. */
export function close({ client, socket }: Connection): void {
  void client.end().catch(() => {});
  socket.setTimeout(goodbyeMs, () => socket.destroy());
}
