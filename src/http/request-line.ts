import * as z from 'zod/mini';
import { Refusal } from '../lib/refusal.ts';
import { malformed } from './exchange.ts';
import type { Route } from './routes.ts';

const noQuery: Readonly<Record<string, string>> = {};
const tokenNames: ReadonlySet<string> = new Set(['access_token', 'id_token', 'token', 'jwt', 'authorization']);

/**
 * The checked query of a URL. A token in it is refused on every route, as URLs end in logs (RFC 6750 section 5.3).
 *
 * @throws Refusal invalid_request
 */
export function readQuery(url: string, accepted: Route['query']): Readonly<Record<string, string>> {
  if (url.includes('eyJ') && url.split(/[/?&=#;]/).some(isTokenShaped)) throw tokenInUrl();
  const start = url.indexOf('?');
  if (start === -1 && (accepted === undefined || accepted === 'ignored')) return noQuery;
  const query: Record<string, string> = Object.create(null);
  for (const [name, value] of new URLSearchParams(start === -1 ? '' : url.slice(start + 1))) {
    if (name in query) throw malformed('query_twice', 'A query parameter came twice.');
    query[name] = value;
  }
  const names = Object.keys(query);
  // Where tokens are asked for by their digest, that alone is taken.
  const isDigest = (name: string) => accepted === 'later' && name === 'token' && /^[\w-]{43}$/.test(query.token ?? '');
  if (names.some((name) => tokenNames.has(name.toLowerCase()) && !isDigest(name))) throw tokenInUrl();
  if (accepted === 'ignored') return noQuery;
  if (accepted === 'later') return query;
  if (accepted === undefined) {
    if (names.length > 0) throw malformed('query_unknown', 'This route takes no query parameters.');
    return noQuery;
  }
  return checkQuery(accepted, query) as Readonly<Record<string, string>>;
}

/** A query that a schema accepts. @throws Refusal invalid_request, which says what a parameter takes */
export function checkQuery<S extends z.ZodMiniObject>(schema: S, query: Readonly<Record<string, string>>): z.infer<S> {
  const result = z.safeParse(schema, { ...query });
  if (result.success) return result.data;
  throw queryFault(schema, result.error.issues[0]);
}

function queryFault(accepted: z.ZodMiniObject, issue: z.core.$ZodIssue | undefined): Refusal {
  const known = `Known parameters: ${Object.keys(accepted._zod.def.shape).join(', ')}.`;
  if (issue?.code === 'unrecognized_keys')
    return malformed('query_unknown', 'The query has a parameter that is not known here.', known);
  const name = String(issue?.path[0] ?? '');
  const wants = wantsOf(issue);
  const detail = `The query parameter ${name} is not valid${wants === undefined ? '' : `; it takes ${wants}`}.`;
  return malformed('query_member', detail, known);
}

/** What a parameter takes, where its schema says so in words. */
function wantsOf(issue: z.core.$ZodIssue | undefined): string | undefined {
  if (issue?.code === 'invalid_value') return issue.values.join(', ');
  return issue === undefined || /^Invalid\b/.test(issue.message) ? undefined : issue.message;
}

const isTokenShaped = (part: string) => part.startsWith('eyJ') && part.split('.').length === 3;

const tokenInUrl = () =>
  malformed(
    'token_in_url',
    'A token does not belong into a URL.',
    'Send it as Authorization: Bearer, and let it expire.',
  );

/** @throws Refusal not_acceptable unless Accept (RFC 9110 section 12.5.1) takes JSON, or one of the other types */
export function checkAccept(accept: string | null, others: readonly string[] = []): void {
  if (accept === null || accept === '*/*' || accept === 'application/json' || accept.trim() === '') return;
  const taken = accept.split(',', 64).some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    return (jsonRanges.has(type) || others.includes(type)) && !parameters.some((text) => /^q=0(\.0*)?$/.test(text));
  });
  if (!taken)
    throw new Refusal('not_acceptable', 'accept', {
      hint: `This route answers in ${['application/json', ...others].join(', ')}.`,
    });
}

const jsonRanges: ReadonlySet<string> = new Set(['*/*', 'application/*', 'application/json']);

const traceparent =
  /^(?:00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}|(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?)$/;

/** The trace id of a valid `traceparent` (W3C Trace Context); an invalid header starts no trace and is no error. */
export function readTrace(header: string | null): string | undefined {
  if (header === null || header.length > 512) return undefined;
  const match = traceparent.exec(header);
  if (match === null) return undefined;
  const trace = match[1] ?? match[3];
  const parent = match[2] ?? match[4];
  return /^0+$/.test(trace as string) || /^0+$/.test(parent as string) ? undefined : trace;
}
