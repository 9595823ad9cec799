import { createServer, request as httpRequest, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Changes the body of a good answer of the ledger. */
export type Change = (answer: WireAnswer, earlier: WireAnswer | undefined) => unknown;
interface WireAnswer {
  receipts: { log: string; index: number; proof: string }[];
  minted: (string | null)[];
}

export type NetworkFault = 'refuse' | 'reset' | 'hang' | 'slow drip' | '500' | '302' | '200 empty' | '200 garbage';
export interface ProxyFault {
  /** The connection itself. */
  readonly network?: NetworkFault;
  /** A good answer made bad. */
  readonly change?: Change;
  /** Another ledger answers instead. */
  readonly target?: string;
}

export interface FaultProxy {
  readonly url: string;
  /** Where the ledger is. */
  aim(target: string): void;
  set(fault: ProxyFault | undefined): Promise<void>;
  close(): Promise<void>;
}

/** A real server between an edge and its ledger, which can be told to misbehave in every way a ledger could. */
export async function faultProxy(): Promise<FaultProxy> {
  let target = '';
  let fault: ProxyFault | undefined;
  let earlier: WireAnswer | undefined;
  let server = await listen(0);
  const { port } = server.address() as AddressInfo;

  function listen(at: number): Promise<Server> {
    const made = createServer((incoming, outgoing) => {
      const body: Buffer[] = [];
      incoming.on('data', (part) => body.push(part));
      incoming.on('end', () =>
        answer(incoming.method ?? 'GET', incoming.url ?? '/', incoming.headers, Buffer.concat(body), outgoing),
      );
    });
    return new Promise((resolve) => made.listen(at, '127.0.0.1', () => resolve(made)));
  }

  async function answer(method: string, path: string, headers: object, body: Buffer, outgoing: ServerResponse) {
    const { network, change, target: other } = fault ?? {};
    if (network === 'reset') return void outgoing.socket?.resetAndDestroy();
    if (network === 'hang') return;
    if (network === '500') return void outgoing.writeHead(500).end('upstream words');
    if (network === '302') return void outgoing.writeHead(302, { location: `${target}${path}` }).end();
    if (network === '200 empty') return void outgoing.writeHead(200).end();
    if (network === '200 garbage')
      return void outgoing.writeHead(200, { 'content-type': 'application/json' }).end('{"receipts":[{}');
    const got = await forward(other ?? target, method, path, headers, body);
    if (network === 'slow drip') return drip(outgoing, got.body);
    const parsed =
      path === '/v1/log/entries' && got.status === 200 ? (JSON.parse(got.body.toString()) as WireAnswer) : undefined;
    const told = parsed !== undefined && change !== undefined ? JSON.stringify(change(parsed, earlier)) : got.body;
    if (parsed !== undefined && fault === undefined) earlier = parsed;
    outgoing.writeHead(got.status, { 'content-type': 'application/json' }).end(told);
  }

  return {
    url: `http://127.0.0.1:${port}`,
    aim(at) {
      target = at;
    },
    async set(next) {
      if (fault?.network === 'refuse' && next?.network !== 'refuse') server = await listen(port);
      fault = next;
      if (next?.network === 'refuse') await shut(server);
    },
    close: () => shut(server),
  };
}

const shut = (server: Server) =>
  new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });

function drip(outgoing: ServerResponse, body: Buffer): void {
  outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  let at = 0;
  const timer = setInterval(() => {
    if (at >= body.length || outgoing.destroyed) return clearInterval(timer);
    outgoing.write(body.subarray(at, ++at));
  }, 100);
}

function forward(
  target: string,
  method: string,
  path: string,
  headers: object,
  body: Buffer,
): Promise<{ status: number; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const onward = httpRequest(
      `${target}${path}`,
      { method, headers: { ...headers, host: new URL(target).host } },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part) => parts.push(part));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }));
      },
    );
    onward.on('error', reject);
    onward.end(body);
  });
}
