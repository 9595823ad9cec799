import { connect, createServer, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { freePort } from '../support/free-port.ts';

/** How the front meets a connection: passes it on as it is, speaks TLS itself with this certificate, or is not there. */
export type FrontMode = 'plain' | 'down' | { readonly cert: string; readonly key: string };

export interface StoreFront {
  readonly port: number;
  set(mode: FrontMode): Promise<void>;
  close(): Promise<void>;
}

/** What stands before a fake service and fails where the fake cannot: in the connection. */
export async function startFront(target: number): Promise<StoreFront> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  let mode: FrontMode = 'plain';
  let server: Server | undefined;

  function meet(socket: Socket): void {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const near = typeof mode === 'object' ? new TLSSocket(socket, { isServer: true, ...mode }) : socket;
    const far = connect(target, '127.0.0.1');
    for (const end of [socket, near, far]) {
      end.on('error', () => {});
      end.once('close', () => [socket, far].map((other) => other.destroy()));
    }
    near.pipe(far).pipe(near);
  }

  async function shut(): Promise<void> {
    const closing = server;
    server = undefined;
    for (const socket of sockets) socket.destroy();
    if (closing !== undefined) await new Promise((resolve) => closing.close(resolve));
  }

  async function listen(): Promise<void> {
    const opened = createServer(meet);
    await new Promise<void>((resolve) => opened.listen(port, '127.0.0.1', resolve));
    server = opened;
  }

  await listen();
  return {
    port,
    async set(next) {
      await shut();
      mode = next;
      if (mode !== 'down') await listen();
    },
    close: shut,
  };
}
