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
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
    const { port } = server.address() as AddressInfo;
    return { server, port, at: `${host.includes(':') ? `[${host}]` : host}:${port}` };
  };
  const four = await listen('127.0.0.1');
  // A machine without IPv6 has only the one family.
  const six = await listen('::1').catch(() => listen('127.0.0.1'));
  return {
    urls: [
      `http://127.0.0.1:${four.port}/trap`,
      `https://127.0.0.1:${four.port}/.well-known/openid-configuration`,
      `http://localhost:${four.port}`,
      `http://2130706433:${four.port}/`,
      `//127.0.0.1:${four.port}/trap`,
      `http://${six.at}/trap`,
    ],
    connections: () => met,
    close() {
      four.server.close();
      six.server.close();
    },
  };
}
