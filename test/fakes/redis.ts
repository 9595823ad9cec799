import { type AddressInfo, createServer, type Socket } from 'node:net';
import { openParser } from '../../src/credentials/redis/resp.ts';

export interface FakeRedis {
  readonly port: number;
  /** Every command, in order, its words parted by spaces. */
  readonly heard: readonly string[];
  /** Its ACL users: the rules they were made with. */
  readonly users: Map<string, string>;
  close(): void;
}

/**
 * As much of a Redis as makes and ends ACL users. `answer` may give the bytes of another reply to a command, or end the
 * connection itself.
 */
export async function startFakeRedis(
  answer: (command: string, socket: Socket) => string | undefined = () => undefined,
): Promise<FakeRedis> {
  const heard: string[] = [];
  const users = new Map<string, string>();
  const sockets = new Set<Socket>();

  function reply(words: readonly string[]): string {
    const [command, name = '', ...rest] = [words.slice(0, 2).join(' ').toUpperCase(), ...words.slice(2)];
    if (command === 'ACL SETUSER') users.set(name, rest.join(' '));
    if (command === 'ACL DELUSER') return `:${Number(users.delete(name))}\r\n`;
    if (command === 'CLIENT LIST') return bulk('id=1 name= user=maker\n');
    if (command === 'ACL LIST') {
      const lines = [...users].map(([user, rules]) => bulk(`user ${user} ${rules}`));
      return `*${lines.length}\r\n${lines.join('')}`;
    }
    return '+OK\r\n';
  }

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    const parser = openParser();
    socket.on('data', (bytes) => {
      for (const words of parser.take(bytes) as string[][]) {
        const command = words.join(' ');
        heard.push(command);
        const bytes = answer(command, socket) ?? reply(words);
        if (!socket.destroyed) socket.write(bytes);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port: (server.address() as AddressInfo).port, heard, users, close };
}

export const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
