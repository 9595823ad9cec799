import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { before, type Deadline } from '../../lib/deadline.ts';
import type { ReadRef } from '../../lib/ref.ts';
import { Refusal } from '../../lib/refusal.ts';
import { usesTls } from '../address.ts';
import { readAdminLogin } from '../admin-login.ts';
import type { RedisConfig } from '../redis.ts';
import { encodeCommand, openParser, RedisError, type Reply, RespError } from './resp.ts';

export interface Client {
  /** Whom it is logged in as. */
  readonly username: string;
  /** One command; sent at once, answered in order. @throws RedisError for an answer that is one */
  call(...words: readonly string[]): Promise<Reply>;
}

/** Runs work on an admin connection; the connection is of this work alone and ends with it. */
export type AsAdmin = <T>(deadline: Deadline, work: (client: Client) => Promise<T>) => Promise<T>;

/**
 * Connections as the configured admin. All of it ends by the deadline, whatever the server does; then the connection is
 * reset, so that nothing more of the work is sent.
 *
 * @returns a function that rejects with Refusal store_failed or store_timeout, without a word of the server's
 */
export function openAdmin(config: RedisConfig, read: ReadRef): AsAdmin {
  return async (deadline, work) => {
    let socket: Socket | undefined;
    try {
      return await before(
        deadline,
        () => refuse('slow'),
        async () => {
          const login = await readAdminLogin(read, config.admin, deadline);
          if (login === undefined) throw refuse('bad_admin');
          if (deadline.left() <= 0) throw refuse('slow');
          const { host, port } = config;
          socket = connect({ host, port, noDelay: true });
          const call = speak(usesTls(config) ? secured(socket, host) : socket);
          const { username, password } = login;
          await call('AUTH', username, password);
          return await work({ username, call });
        },
      );
    } catch (error) {
      throw error instanceof Refusal ? error : fromServer(error);
    } finally {
      // What is not sent by now the operating system must not send later: it is reset, not closed.
      socket?.resetAndDestroy();
    }
  };
}

/** TLS over the connection, which checks the certificate against the configured host. */
function secured(socket: Socket, host: string): Socket {
  return connectTls({ socket, host, ...(isIP(host) === 0 ? { servername: host } : {}), rejectUnauthorized: true });
}

function speak(socket: Socket): Client['call'] {
  const parser = openParser();
  const waiting: { resolve(reply: Reply): void; reject(error: Error): void }[] = [];
  let broken: Error | undefined;

  const fail = (error: Error) => {
    broken ??= error;
    for (const { reject } of waiting.splice(0)) reject(broken);
    socket.destroy();
  };
  socket.on('error', fail);
  socket.on('close', () => fail(new RespError('closed')));
  socket.on('end', () => fail(new RespError('closed')));
  socket.on('data', (bytes: Buffer) => {
    try {
      for (const reply of parser.take(bytes)) {
        const next = waiting.shift();
        if (next === undefined) return fail(new RespError('bad_reply'));
        if (reply instanceof RedisError) next.reject(reply);
        else next.resolve(reply);
      }
    } catch (error) {
      fail(error as Error);
    }
  });

  return (...words) =>
    new Promise((resolve, reject) => {
      if (broken !== undefined) return reject(broken);
      waiting.push({ resolve, reject });
      socket.write(encodeCommand(words));
    });
}

function fromServer(error: unknown): Refusal {
  return refuse(error instanceof RedisError ? `error_${error.code}` : 'unreachable');
}

export const refuse = (reason: string): Refusal =>
  new Refusal(reason === 'slow' ? 'store_timeout' : 'store_failed', reason, { facts: { kind: 'redis', reason } });
