import type { Context } from 'hono';
import type { Runtime } from '../lib/platform.ts';

/** What only the runtime knows of a request. Nothing here comes from a header that a caller could have written. */
export interface Front {
  /** The caller's address; absent where the platform does not say. */
  address(c: Context): string | undefined;
  /** Milliseconds the invocation has left; absent where there is no such end. */
  left(c: Context): number | undefined;
  /** Whether a body came, without touching it. */
  hasBody(c: Context): boolean;
}

/** Bindings as @hono/node-server hands them over. */
interface NodeBindings {
  readonly incoming?: { readonly socket?: { readonly remoteAddress?: string } };
}

/** Bindings as serveLambda hands them over. */
interface LambdaBindings {
  readonly requestContext?: { readonly http?: { readonly sourceIp?: string } };
  readonly lambdaContext?: { getRemainingTimeInMillis?(): number };
}

const node: Front = {
  address: (c) => (c.env as NodeBindings | undefined)?.incoming?.socket?.remoteAddress,
  left: () => undefined,
  // A request over HTTP/1.1 has a body exactly when it says how it is framed (RFC 9112 section 6.3).
  hasBody: (c) =>
    (c.env as NodeBindings | undefined)?.incoming === undefined
      ? c.req.raw.body !== null
      : c.req.raw.headers.has('content-length') || c.req.raw.headers.has('transfer-encoding'),
};

const lambda: Front = {
  address: (c) => (c.env as LambdaBindings | undefined)?.requestContext?.http?.sourceIp,
  left: (c) => (c.env as LambdaBindings | undefined)?.lambdaContext?.getRemainingTimeInMillis?.(),
  hasBody: (c) => c.req.raw.body !== null,
};

const workerd: Front = {
  // Cloudflare's edge overwrites this header on every request, so a caller cannot choose it.
  address: (c) => c.req.raw.headers.get('cf-connecting-ip') ?? undefined,
  left: () => undefined,
  hasBody: (c) => c.req.raw.body !== null,
};

export const fronts: Readonly<Record<Runtime, Front>> = { node, lambda, workerd };
