import type { Context } from 'hono';
import type { Call } from '../broker.ts';
import type { Deployment } from '../config/deployment.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { LogFacts, Platform } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import { propsOf } from './bound.ts';
import type { Front } from './front.ts';

/** What all requests of one app share. */
export interface House {
  readonly deployment: Deployment;
  readonly platform: Platform;
  readonly front: Front;
  /** Sent with every answer. */
  readonly headers: Readonly<Record<string, string>>;
}

/** One request, as the handlers see it. */
export interface Exchange {
  readonly house: House;
  readonly c: Context;
  /** Our own request id, never the caller's. */
  readonly request: string;
  readonly trace: string | undefined;
  readonly address: string | undefined;
  readonly deadline: Deadline;
  /** The checked query; empty where the route takes none. */
  query: Readonly<Record<string, string>>;
  /** What the access log line says beyond route and status. */
  readonly facts: LogFacts;
  /** It is asked again and again, and nothing came of it: an answer below 400 is no line of the access log. */
  quiet?: boolean;
}

/** The call the broker gets, once the header has given up its token. @throws Refusal token_missing, invalid_request */
export function callOf(exchange: Exchange): Call {
  const { request, trace, address, deadline } = exchange;
  const binding = propsOf(exchange.c.req.raw);
  if (binding === undefined) return { token: bearerToken(exchange.c), request, trace, address, deadline };
  if (exchange.c.req.raw.headers.has('authorization'))
    throw malformed('two_identities', 'A call by a service binding takes no Authorization header.');
  return { token: '', binding, request, trace, address, deadline };
}

/**
 * The token of the one Authorization header (RFC 6750 section 2.1). Several headers arrive joined with a comma on every
 * runtime, and no token holds a comma.
 */
function bearerToken(c: Context): string {
  const header = c.req.raw.headers.get('authorization');
  if (header === null) throw new Refusal('token_missing', 'no_authorization');
  if (header.includes(',')) throw malformed('several_authorizations', 'Send exactly one Authorization header.');
  const space = header.indexOf(' ');
  const scheme = space === -1 ? header : header.slice(0, space);
  if (scheme.includes('\t')) throw malformed('authorization_tab', 'The Authorization header is malformed.');
  if (scheme.toLowerCase() !== 'bearer') throw new Refusal('token_missing', 'other_scheme');
  const token = header.slice(scheme.length).replace(/^ +/, '');
  if (token === '') throw new Refusal('token_missing', 'empty_bearer');
  if (/[\s\0]/.test(token)) throw malformed('authorization_spaces', 'The Authorization header is malformed.');
  return token;
}

/** Until when the ledger may take to answer a read. */
export const ledgerTime = ({ deadline, house }: Exchange): Deadline =>
  deadline.within(house.deployment.limits.ledgerMs);

export const malformed = (reason: string, detail: string, hint?: string): Refusal =>
  new Refusal('invalid_request', reason, { detail, hint });

/** An answer with the house's headers. `headers` wins, e.g. for a public document that may be cached. */
export function answer(
  exchange: Exchange,
  status: number,
  body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>> | null,
  headers?: Readonly<Record<string, string>>,
): Response {
  return new Response(body, {
    status,
    headers: { ...exchange.house.headers, 'x-request-id': exchange.request, ...headers },
  });
}

const jsonType = { 'content-type': 'application/json' } as const;

export const answerJson = (exchange: Exchange, value: unknown, status = 200): Response =>
  answer(exchange, status, JSON.stringify(value), jsonType);

/** As answerJson, for text that is JSON already. */
export const answerJsonText = (exchange: Exchange, text: string): Response => answer(exchange, 200, text, jsonType);
