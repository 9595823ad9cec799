import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { nextPort } from '../support/free-port.ts';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A real HTTP server on loopback whose answers are changed at will and whose calls are counted. */
export interface HttpIssuer {
  readonly url: string;
  /** Paths asked for so far. */
  readonly calls: string[];
  answer: Answer;
  close(): Promise<void>;
}

export async function startIssuer(answer: Answer): Promise<HttpIssuer> {
  const calls: string[] = [];
  const server = createServer((request, response) => {
    calls.push(request.url ?? '');
    issuer.answer(request, response);
  });
  const port = await listen(server);
  const issuer: HttpIssuer = {
    url: `http://127.0.0.1:${port}`,
    calls,
    answer,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return issuer;
}

export const json =
  (value: unknown, status = 200): Answer =>
  (_, response) =>
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(typeof value === 'string' ? value : JSON.stringify(value));

async function listen(server: Server): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = nextPort();
    const bound = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (bound) return port;
  }
  throw new Error('no free port');
}
