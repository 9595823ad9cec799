import { isIP, type Server } from 'node:net';

/** What `listen` itself ends with; Node keeps the name for those who wrap it. */
interface Bare {
  readonly _listen2?: (
    address: string,
    port: number,
    family: number,
    backlog: number,
    fd?: number,
    flags?: number,
  ) => void;
}

/** As Node has it, of connections that wait to be taken. */
const backlog = 511;

/**
 * Listens on an address or a name; port 0 takes any free one. Rejects with Node's own error when it cannot be had.
 *
 * `server.listen` brings DNS and, to ask whether this is a worker of a cluster, all of `node:child_process` along: a start's
 * fortieth part, for an address that is one already and a process that nobody forked.
 */
export function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    const { _listen2: bare } = server as Server & Bare;
    const family = isIP(host);
    const sound = family !== 0 && Number.isInteger(port) && port >= 0 && port < 65_536;
    // What a process of a cluster listens on, its parent has.
    if (sound && bare !== undefined && process.send === undefined)
      bare.call(server, host, port, family, backlog, undefined, 0);
    else server.listen({ host, port });
  });
}
