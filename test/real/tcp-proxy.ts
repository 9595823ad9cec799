import { connect, createServer, type Socket } from 'node:net';
import { freePort } from '../support/free-port.ts';

/** What stands between a client and a real server: bytes both ways, until it is told to misbehave. */
export interface TcpProxy {
  readonly port: number;
  /** `hang` takes bytes and gives none back, `reset` drops every connection; undefined: none, for new connections. */
  fault: 'hang' | 'reset' | undefined;
  /** How many more times bytes may pass, either way, before every connection is dropped instead. */
  cutAfter: number | undefined;
  close(): Promise<void>;
}

export async function startTcpProxy(to: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((incoming) => {
    const outgoing = connect(to, '127.0.0.1');
    for (const socket of [incoming, outgoing]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    const isCut = () => proxy.cutAfter !== undefined && proxy.cutAfter-- <= 0;
    incoming.on('data', (bytes) => {
      if (isCut()) incoming.resetAndDestroy();
      else if (proxy.fault === 'reset') incoming.resetAndDestroy();
      else if (proxy.fault === undefined) outgoing.write(bytes);
    });
    outgoing.on('data', (bytes) => {
      if (isCut()) incoming.resetAndDestroy();
      else incoming.write(bytes);
    });
    incoming.on('close', () => outgoing.destroy());
    outgoing.on('close', () => incoming.destroy());
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const proxy: TcpProxy = {
    port,
    fault: undefined,
    cutAfter: undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return proxy;
}
