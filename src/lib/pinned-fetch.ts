import { Agent, request } from 'node:https';
import { Readable } from 'node:stream';
import type { Platform } from './platform.ts';

const idleMs = 4_000;

/**
 * A fetch over node:https that trusts only these certificates (PEM): the built-in fetch has no way to say so. It follows no
 * redirect, as every caller asks for `redirect: 'manual'`; plain http goes nowhere.
 */
export function fetchTrusting(ca: string): Platform['fetch'] {
  // Idle connections are given up soon, as by the built-in fetch: after a pause the other side has forgotten them.
  const agent = new Agent({ ca, rejectUnauthorized: true, keepAlive: true, maxSockets: 64, timeout: idleMs });
  return (url, init) =>
    new Promise((done, fail) => {
      const { hostname, port, pathname, search, protocol } = new URL(url);
      if (protocol !== 'https:') throw new TypeError('only https can be held to a certificate');
      const body = bytesOf(init.body);
      // Node says no length of a DELETE by itself: a server would take what is in it for the next request.
      const length = body === undefined ? {} : { 'content-length': String(body.byteLength) };
      const headers = { ...Object.fromEntries(new Headers(init.headers)), ...length };
      const options = { hostname: hostname.replace(/^\[|\]$/g, ''), port, path: pathname + search, agent, headers };
      const { method = 'GET', signal } = init;
      const outgoing = request({ ...options, method, ...(signal ? { signal } : {}) }, (incoming) => {
        const { statusCode = 0, rawHeaders } = incoming;
        // An impossible status is no answer, and nobody would read its body.
        if (statusCode < 200 || statusCode > 599) return void incoming.destroy();
        const answered = new Headers();
        for (let at = 0; at + 1 < rawHeaders.length; at += 2)
          answered.append(rawHeaders[at] as string, rawHeaders[at + 1] as string);
        const empty = method === 'HEAD' || [204, 205, 304].includes(statusCode);
        if (empty) incoming.resume();
        const stream = empty ? null : (Readable.toWeb(incoming) as ReadableStream<Uint8Array>);
        done(new Response(stream, { status: statusCode, headers: answered }));
      });
      outgoing.on('error', (cause) => fail(new TypeError('fetch failed', { cause })));
      // An upgrade nobody asked for ends without an error.
      outgoing.on('close', () => fail(new TypeError('fetch failed')));
      outgoing.end(body);
    });
}

function bytesOf(body: RequestInit['body']): Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string' || body instanceof URLSearchParams) return Buffer.from(body.toString());
  if (body instanceof Uint8Array) return body;
  throw new TypeError('a body is text or bytes');
}
