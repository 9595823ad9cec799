import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { once } from '../lib/once.ts';
import type { Platform } from '../lib/platform.ts';
import { listen } from './listen.ts';
import { notHttp } from './not-http.ts';

export interface Listen {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** `limits.tokenBytes`: the headers must carry such a token. */
  readonly tokenBytes?: number;
  /** `limits.request`, milliseconds: for so long nothing may be heard on a connection whose answer is being made. */
  readonly requestMs?: number;
  /** Answers ahead of the app what is not the broker's; undefined for everything else. */
  readonly ahead?: (request: Request) => Response | undefined;
}

export interface NodeServer {
  /** The bound address. */
  readonly url: string;
  /** Takes no more, closes idle connections at once and the rest when answered, 15 s later at the latest. */
  close(): Promise<void>;
}

interface App {
  fetch(request: Request, env: object): Response | Promise<Response>;
}

/** Milliseconds, bytes and numbers; `headerBytes` beside the token. */
const bounds = {
  headerBytes: 16 * 1024,
  headers: 1_000,
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 65_000,
  silenceMs: 60_000,
  connections: 4_096,
  drainMs: 15_000,
} as const;

/** Serves an app over HTTP/1.1. Rejects with Node's own error when the address cannot be had. */
export async function serveNode(app: App, platform: Platform, listenAt: Listen): Promise<NodeServer> {
  const { host, port, ahead, tokenBytes = 0, requestMs = 0 } = listenAt;
  const sockets = new Set<Socket>();
  const answering = new Map<Socket, ServerResponse>();
  let serve: ((incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>) | undefined;
  // It brings the whole of fetch along, which no start needs to wait for.
  const load = once(async () => {
    const { getRequestListener } = await import('@hono/node-server');
    serve = getRequestListener((request, env) => ahead?.(request) ?? app.fetch(request, env), {
      hostname: 'localhost',
      errorHandler: () => notHttp(platform).response(),
    });
    return serve;
  });
  const server = createServer({
    maxHeaderSize: bounds.headerBytes + Math.max(bounds.headerBytes, tokenBytes),
    headersTimeout: bounds.headersMs,
    requestTimeout: bounds.requestMs,
    keepAliveTimeout: bounds.keepAliveMs,
    connectionsCheckingInterval: 2_000,
    // A request without Host is refused below, in the shape of all our refusals.
    requireHostHeader: false,
  });
  // Of too many it would drop the last in silence, a second Authorization as well; they are counted below.
  server.maxHeadersCount = 0;
  server.maxConnections = bounds.connections;
  server.timeout = Math.max(bounds.silenceMs, requestMs + bounds.silenceMs / 2);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const listener = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { socket } = incoming;
    answering.set(socket, outgoing);
    outgoing.once('close', () => {
      if (answering.get(socket) !== outgoing) return;
      answering.delete(socket);
      if (!server.listening) socket.destroySoon();
    });
    if (isSound(incoming)) {
      if (serve !== undefined) return void serve(incoming, outgoing);
      return void load().then((loaded) => loaded(incoming, outgoing));
    }
    outgoing.shouldKeepAlive = false;
    const { status, headers, body } = notHttp(platform);
    outgoing.writeHead(status, headers).end(body);
  };
  server.on('request', listener);
  server.on('checkExpectation', listener);
  server.on('clientError', (_error, stream) => {
    const socket = stream as Socket;
    if (isTurnOf(socket, answering.get(socket))) refuseBytes(platform, socket);
    else socket.destroy();
  });
  await listen(server, host, port);
  setImmediate(() => void load());
  return {
    url: urlOf(server),
    close() {
      // Told in time, a client asks its next question elsewhere instead of into a connection that ends.
      for (const outgoing of answering.values()) if (!outgoing.headersSent) outgoing.shouldKeepAlive = false;
      return drain(server, () => [...sockets].filter((socket) => !answering.has(socket)));
    },
  };
}

function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

async function drain(server: Server, idle: () => readonly Socket[]): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of idle()) socket.destroy();
  const end = setTimeout(() => server.closeAllConnections(), bounds.drainMs);
  await closed;
  clearTimeout(end);
}

/** Two Host headers, or none in HTTP/1.1, are how requests are smuggled past a proxy (RFC 9112 section 3.2). */
function hasOneHost({ rawHeaders, httpVersionMinor }: IncomingMessage): boolean {
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++;
  }
  return hosts === 1 || (hosts === 0 && httpVersionMinor === 0);
}

// In HTTP/1.0 there are no chunks: to a proxy that speaks it they are the next request (RFC 9112 section 6.1).
const isFramed = ({ headers, httpVersionMinor }: IncomingMessage): boolean =>
  httpVersionMinor > 0 || headers['transfer-encoding'] === undefined;

const isSound = (incoming: IncomingMessage): boolean =>
  incoming.rawHeaders.length <= 2 * bounds.headers && hasOneHost(incoming) && isFramed(incoming);

/**
 * Whether bytes written now are read as the answer to what was malformed: nothing is under way, or only the request whose
 * own body broke. Otherwise they would be taken for (a part of) another request's answer.
 */
function isTurnOf(socket: Socket, last: ServerResponse | undefined): boolean {
  if (!socket.writable) return false;
  return last === undefined || (last.socket === socket && !last.headersSent && !last.req.complete);
}

function refuseBytes(platform: Platform, socket: Socket): void {
  const { status, headers, body } = notHttp(platform);
  const lines = Object.entries({ ...headers, connection: 'close' });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 ${status} Bad Request\r\n${head}\r\n${body}`, () => socket.destroy());
}
