import { connect, createServer, type Socket } from 'node:net';

/** What befalls one statement, counted from when the fault is set: 1 for the next. */
export interface StatementFault {
  readonly at: number;
  /** Cut before the server has it; cut when the server has answered, before the answer comes; or silence from it on. */
  readonly how: 'before' | 'after' | 'hang';
}

export interface PostgresProxy {
  readonly port: number;
  /** Statements that came through since the last fault was set. */
  readonly statements: number;
  set(fault: StatementFault | undefined): void;
  /** Holds statement `at` back until what is returned is called; `held` resolves when it has come. */
  hold(at: number): { readonly held: Promise<void>; release(): void };
  close(): Promise<void>;
}

/** A TCP proxy that knows where a statement ends and where its answer does (PostgreSQL's protocol, version 3). */
export async function postgresProxy(target: { readonly host: string; readonly port: number }): Promise<PostgresProxy> {
  let fault: StatementFault | undefined;
  let holding: { at: number; come(): void; released: Promise<void> } | undefined;
  let statements = 0;
  const sockets = new Set<Socket>();

  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    const cut = () => {
      client.destroy();
      upstream.destroy();
    };
    /** The numbers of the statements whose answers are to come. */
    const open: number[] = [];
    let onward = Promise.resolve();
    const ends = messages((message, type) => {
      const ended = type === 'Q' || type === 'S';
      const number = ended ? ++statements : statements + 1;
      if (ended) open.push(number);
      const mine = fault;
      if (mine?.how === 'hang' && number >= mine.at) return;
      if (mine?.at === number && mine.how === 'before') return cut();
      const hold = holding?.at === number ? holding : undefined;
      if (hold !== undefined && ended) hold.come();
      onward = onward.then(() => hold?.released).then(() => void upstream.write(message));
    }, true);
    const answers = messages((message, type) => {
      const number = type === 'Z' ? open.shift() : open[0];
      const mine = fault;
      if (mine !== undefined && mine.at === number && mine.how === 'after') {
        if (type === 'Z') cut();
        return;
      }
      client.write(message);
    }, false);
    client.on('data', ends);
    upstream.on('data', answers);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    get statements() {
      return statements;
    },
    set(next) {
      statements = 0;
      fault = next;
    },
    hold(at) {
      statements = 0;
      let release = () => {};
      const released = new Promise<void>((resolve) => {
        release = () => {
          holding = undefined;
          resolve();
        };
      });
      const held = new Promise<void>((come) => {
        holding = { at, come, released };
      });
      return { held, release };
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Cuts a stream into messages: a type, a length, the rest. The first of a client has no type. */
function messages(take: (message: Buffer, type: string) => void, fromClient: boolean): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  let untyped = fromClient;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const head = untyped ? 0 : 1;
      if (rest.length < head + 4) return;
      const length = head + rest.readInt32BE(head);
      if (rest.length < length) return;
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      const type = untyped ? '' : String.fromCharCode(message[0] as number);
      untyped = false;
      take(message, type);
    }
  };
}
