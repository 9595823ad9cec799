import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { freePort } from '../support/free-port.ts';

/** A call that a fake service got, its body read to the end. */
export interface FakeCall {
  readonly method: string;
  /** Path and query. */
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** The same as it came. */
  readonly bytes: Uint8Array;
}

export interface FakeAnswer {
  readonly status: number;
  readonly statusText?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** What a fake may do instead of answering: `hang` says nothing, `cut` ends the body early, `reset` drops the connection. */
export type FakeFault = 'hang' | 'cut' | 'reset';

export interface FakeServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly calls: readonly FakeCall[];
  /** Takes the place of the next answers for which it gives one; undefined: none. */
  instead: ((call: FakeCall) => FakeAnswer | FakeFault | undefined) | undefined;
  close(): Promise<void>;
}

/** A service on loopback, over plain HTTP as a config allows it there; its faults are those of the wire. `keeps`: its calls. */
export async function startFake(
  answer: (call: FakeCall) => FakeAnswer | Promise<FakeAnswer>,
  { keeps = true } = {},
): Promise<FakeServer> {
  const calls: FakeCall[] = [];
  const server = createServer(async (request, response) => {
    const call = await readCall(request);
    if (keeps) calls.push(call);
    const said = fake.instead?.(call) ?? (await answer(call));
    if (typeof said === 'string') misbehave(said, response);
    else response.writeHead(said.status, said.statusText ?? '', said.headers).end(said.body);
  });
  const port = await listen(server);
  const fake: FakeServer = {
    url: `http://127.0.0.1:${port}`,
    calls,
    instead: undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return fake;
}

async function readCall(request: IncomingMessage): Promise<FakeCall> {
  const parts: Uint8Array[] = [];
  for await (const part of request) parts.push(part as Uint8Array);
  const url = new URL(request.url ?? '/', 'http://fake');
  const bytes = Buffer.concat(parts);
  return { method: request.method ?? '', url, headers: request.headers, body: bytes.toString(), bytes };
}

function misbehave(fault: FakeFault, response: ServerResponse): void {
  if (fault === 'hang') return;
  if (fault === 'reset') return void response.socket?.destroy();
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  response.write('{"half":');
  setTimeout(() => response.socket?.destroy(), 20);
}

async function listen(server: Server): Promise<number> {
  for (let attempt = 0; attempt < 10; attempt++) {
    const port = await freePort();
    const bound = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (bound) return port;
  }
  throw new Error('no free port');
}
