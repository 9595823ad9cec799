import mysql from 'mysql2';
import { freePort } from '../support/free-port.ts';

/** Rows with one column each, done, or an error number. */
export type Answer = readonly Readonly<Record<string, unknown>>[] | 'done' | number;

export interface FakeMysql {
  readonly port: number;
  /** Who logged in and what they said, in order. */
  readonly heard: readonly string[];
  close(): void;
}

/** Speaks the protocol and keeps nothing: any login is let in, `answer` says what a text of statements gives. */
export async function startFakeMysql(version: string, answer: (text: string) => Answer): Promise<FakeMysql> {
  const heard: string[] = [];
  const port = await freePort();
  const connections: mysql.Connection[] = [];
  const server = mysql.createServer((accepted) => {
    // Its types know little of what a server's connection can do.
    const connection = accepted as FakeConnection;
    connections.push(connection);
    connection.on('error', () => {});
    connection.serverHandshake({
      protocolVersion: 10,
      serverVersion: version,
      connectionId: connections.length,
      statusFlags: 2,
      characterSet: 45,
      capabilityFlags: 0xffffff ^ 0x800,
      authCallback: ({ user }: { user: string }, done: (error: null) => void) => {
        heard.push(`login ${user}`);
        done(null);
        setImmediate(() => connection._resetSequenceId());
      },
    });
    const hear = (text: string) => {
      heard.push(text);
      // Each command begins to count anew; this is the first packet of its answer.
      connection.sequenceId = 1;
      const said = answer(text);
      if (said === 'done') connection.writeOk();
      else if (typeof said === 'number') connection.writeError({ code: said, message: 'canary' });
      else connection.writeTextResult(said, Object.keys(said[0] ?? { id: 0 }).map(columnOf));
      connection._resetSequenceId();
    };
    connection.on('query', hear);
    // So it calls what begins with SET.
    connection.on('stmt_prepare', hear);
  });
  await new Promise<void>((resolve) => (server as unknown as Listening).listen(port, '127.0.0.1', resolve));
  const close = () => {
    for (const connection of connections) connection.destroy();
    server.close(() => {});
  };
  return { port, heard, close };
}

interface Listening {
  listen(port: number, host: string, done: () => void): void;
}

interface FakeConnection extends mysql.Connection {
  serverHandshake(args: unknown): void;
  sequenceId: number;
  _resetSequenceId(): void;
  writeOk(): void;
  writeError(error: { code: number; message: string }): void;
  writeTextResult(rows: unknown, columns: unknown): void;
}

const columnOf = (name: string) => ({
  catalog: 'def',
  schema: '',
  table: '',
  orgTable: '',
  name,
  orgName: name,
  characterSet: 45,
  columnLength: 255,
  columnType: 253,
  flags: 0,
  decimals: 0,
});
