import type { Deadline } from '../../../lib/deadline.ts';
import { StoreFault } from '../../log-store.ts';
import { type Connection, type Param, type Request, type Row, type Statement, UnfitServer } from './connection.ts';
import { faultOf, isLost } from './faults.ts';

export type Connect = (deadline: Deadline) => Promise<Connection>;

export interface RunOptions {
  /** It only reads: where the connection turns out to be lost, it is run again on a new one. */
  readonly again?: boolean;
}

/** A few connections to one database, made when they are needed. Rejects with StoreFault or HeadMoved. */
export interface Lane {
  run(
    statement: Statement,
    params: readonly Param[],
    deadline: Deadline,
    options?: RunOptions,
  ): Promise<readonly Row[]>;
  /** Several on one connection in one round trip; the rows of each. */
  runAll(requests: readonly Request[], deadline: Deadline, options?: RunOptions): Promise<readonly (readonly Row[])[]>;
  /** Drops all connections, whatever they do, and makes a new one. */
  renew(deadline: Deadline): Promise<void>;
  /** Drops those that nobody uses: the next statement is asked where the database is now. */
  drop(): void;
  close(): void;
}

/** One that was idle longer may have been forgotten by whatever is between here and there; milliseconds. */
const idleMs = 60_000;

/** At most `most` statements at a time; others wait their turn. */
export function openLane(connect: Connect, most: number, now: () => number): Lane {
  const idle: { readonly connection: Connection; readonly at: number }[] = [];
  const busy = new Set<Connection>();
  const waiting: (() => void)[] = [];
  let running = 0;
  let closed = false;

  /** An idle connection that is sound, if there is one. */
  function known(): Connection | undefined {
    for (let one = idle.pop(); one !== undefined; one = idle.pop()) {
      if (!one.connection.isOver() && Math.abs(now() - one.at) < idleMs) return one.connection;
      one.connection.close();
    }
    return undefined;
  }

  async function on<T>(connection: Connection, work: (connection: Connection) => Promise<T>): Promise<T> {
    busy.add(connection);
    try {
      const result = await work(connection);
      if (closed || !busy.has(connection)) connection.close();
      else idle.push({ connection, at: now() });
      return result;
    } catch (error) {
      // After an error nobody knows what state it is in.
      connection.cut();
      throw error;
    } finally {
      busy.delete(connection);
    }
  }

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  }

  function cutAll(): void {
    for (const connection of busy) connection.cut();
    busy.clear();
    drop();
  }

  function drop(): void {
    for (const { connection } of idle.splice(0)) connection.close();
  }

  const runAll: Lane['runAll'] = (requests, deadline, { again = false } = {}) =>
    inTurn(async () => {
      if (closed) throw new StoreFault('closed');
      // No connection was touched yet, so none need be cut.
      if (deadline.left() <= 0) throw new StoreFault('timeout');
      const work = (connection: Connection) => connection.run(requests, deadline);
      try {
        const old = known();
        if (old === undefined) return await on(await connect(deadline), work);
        return await on(old, work).catch(async (error) => {
          if (!again || !isLost(error)) throw error;
          return on(await connect(deadline), work);
        });
      } catch (error) {
        throw error instanceof UnfitServer ? new StoreFault('not_durable', { cause: error }) : faultOf(error);
      }
    });

  return {
    runAll,
    async run(statement, params, deadline, options) {
      const [rows] = await runAll([{ statement, params }], deadline, options);
      return rows as readonly Row[];
    },
    async renew(deadline) {
      cutAll();
      try {
        const connection = await connect(deadline);
        idle.push({ connection, at: now() });
      } catch (error) {
        throw error instanceof UnfitServer ? new StoreFault('not_durable', { cause: error }) : faultOf(error);
      }
    },
    drop,
    close() {
      closed = true;
      cutAll();
    },
  };
}
