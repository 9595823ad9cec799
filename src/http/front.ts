import type { Context } from 'hono';
import { concat } from '../lib/bytes.ts';
import type { Runtime } from '../lib/platform.ts';
import { propsOf } from './bound.ts';

/** What only the runtime knows of a request. Nothing here comes from a header that a caller could have written. */
export interface Front {
  /** The caller's address; absent where the platform does not say. */
  address(c: Context): string | undefined;
  /** Milliseconds the invocation has left; absent where there is no such end. */
  left(c: Context): number | undefined;
  /** Whether a body came, without touching it. */
  hasBody(c: Context): boolean;
  /** All of a body whose length is known and bounded, the runtime's own way; rejects when it ends early. */
  readWhole(c: Context): Promise<Uint8Array>;
}

/** Bindings as @hono/node-server hands them over. */
interface NodeBindings {
  readonly incoming?: Incoming;
}

/** What is used of Node's IncomingMessage. */
interface Incoming {
  readonly socket?: { readonly remoteAddress?: string };
  readonly destroyed?: boolean;
  on?(event: string, listener: (value: Uint8Array & Error) => void): unknown;
}

/** Bindings as serveLambda hands them over. */
interface LambdaBindings {
  readonly requestContext?: { readonly http?: { readonly sourceIp?: string } };
  readonly lambdaContext?: { getRemainingTimeInMillis?(): number };
}

const readRequest = async (c: Context): Promise<Uint8Array> => new Uint8Array(await c.req.raw.arrayBuffer());

/** Straight from the socket: a web stream in between costs more than all of an issuance's body. */
function readIncoming(incoming: Incoming): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  return new Promise((resolve, reject) => {
    // A caller who left while it was decided sends no further event to wait for.
    if (incoming.destroyed === true) reject(new Error('closed'));
    incoming.on?.('data', (part) => parts.push(part));
    let ended = false;
    incoming.on?.('end', () => {
      ended = true;
      resolve(parts.length === 1 ? (parts[0] as Uint8Array) : concat(...parts));
    });
    incoming.on?.('error', reject);
    incoming.on?.('close', () => {
      if (!ended) reject(new Error('closed'));
    });
  });
}

const node: Front = {
  address: (c) => (c.env as NodeBindings | undefined)?.incoming?.socket?.remoteAddress,
  left: () => undefined,
  // A request over HTTP/1.1 has a body exactly when it says how it is framed (RFC 9112 section 6.3).
  hasBody: (c) =>
    (c.env as NodeBindings | undefined)?.incoming === undefined
      ? c.req.raw.body !== null
      : c.req.raw.headers.has('content-length') || c.req.raw.headers.has('transfer-encoding'),
  readWhole: (c) => {
    const incoming = (c.env as NodeBindings | undefined)?.incoming;
    return incoming?.on === undefined ? readRequest(c) : readIncoming(incoming);
  },
};

/** Kept back of an invocation's life: what is handed over as it ends reaches nobody, and nobody takes it back. */
const answerMs = 200;

const lambda: Front = {
  address: (c) => (c.env as LambdaBindings | undefined)?.requestContext?.http?.sourceIp,
  left(c) {
    const left = (c.env as LambdaBindings | undefined)?.lambdaContext?.getRemainingTimeInMillis?.();
    return left === undefined ? undefined : left - answerMs;
  },
  hasBody: (c) => c.req.raw.body !== null,
  readWhole: readRequest,
};

const workerd: Front = {
  // Cloudflare's edge overwrites this header on every request, so a caller cannot choose it; but a Worker that comes by a
  // binding does not come through the edge, and can.
  address: ({ req: { raw } }) =>
    propsOf(raw) === undefined ? (raw.headers.get('cf-connecting-ip') ?? undefined) : undefined,
  left: () => undefined,
  hasBody: (c) => c.req.raw.body !== null,
  readWhole: readRequest,
};

export const fronts: Readonly<Record<Runtime, Front>> = { node, lambda, workerd };
