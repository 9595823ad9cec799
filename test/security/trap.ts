import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';

export interface Trap {
  /** URL-shaped texts that lead to it, over both families of addresses. */
  readonly urls: readonly string[];
  connections(): number;
  close(): void;
}

/** Listens where nothing has a reason to go. */
export async function startTrap(): Promise<Trap> {
  let met = 0;
  const listen = async (host: string) => {
    const server = createServer((socket) => {
      met++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return { server, port: (server.address() as AddressInfo).port };
  };
  const [four, six] = [await listen('127.0.0.1'), await listen('::1')];
  return {
    urls: [
      `http://127.0.0.1:${four.port}/trap`,
      `https://127.0.0.1:${four.port}/.well-known/openid-configuration`,
      `http://localhost:${four.port}`,
      `http://2130706433:${four.port}/`,
      `//127.0.0.1:${four.port}/trap`,
      `http://[::1]:${six.port}/trap`,
    ],
    connections: () => met,
    close() {
      four.server.close();
      six.server.close();
    },
  };
}
