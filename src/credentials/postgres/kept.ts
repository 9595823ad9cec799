import { type Connection, close } from './connection.ts';

export interface KeptConnections {
  /** One that is idle and sound, and from now on the caller's; undefined when there is none. */
  take(): Promise<Connection | undefined>;
  /** Keeps one whose work ended well, with nothing of it left open. */
  put(connection: Connection): void;
}

/** How long one waits for its next work, and how long one lives at most: what the admin's login was may have changed. */
const keepMs = 5_000;
const lifeMs = 60_000;

/** Keeps idle connections for the next work; none of them, nor a timer, keeps the process alive. */
export function keepConnections(most: number, now: () => number): KeptConnections {
  const idle: { readonly connection: Connection; readonly at: number; readonly timer: NodeJS.Timeout }[] = [];
  return {
    async take() {
      if (idle.length === 0) return undefined;
      // A process that was frozen, or busy, first hears what the server has said meanwhile.
      await new Promise((resolve) => setImmediate(resolve));
      for (let one = idle.pop(); one !== undefined; one = idle.pop()) {
        clearTimeout(one.timer);
        one.connection.socket.ref();
        if (!one.connection.isOver() && Math.abs(now() - one.at) < keepMs) return one.connection;
        close(one.connection);
      }
      return undefined;
    },
    put(connection) {
      const old = Math.abs(now() - connection.since) >= lifeMs;
      if (old || idle.length >= most || connection.isOver()) return close(connection);
      connection.socket.unref();
      const timer = setTimeout(() => {
        idle.splice(idle.indexOf(one), 1);
        close(connection);
      }, keepMs).unref();
      const one = { connection, at: now(), timer };
      idle.push(one);
    },
  };
}
