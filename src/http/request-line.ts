import { Refusal } from '../lib/refusal.ts';
import * as s from '../lib/schema/index.ts';
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
  const text = start === -1 ? '' : url.slice(start + 1);
  // It would be read as other characters than were meant.
  if (accepted !== 'ignored' && text.includes('%') && !isEncoded(text))
    throw malformed('query_encoding', 'The query is not percent-encoded UTF-8.');
  for (const [name, value] of new URLSearchParams(text)) {
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

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** A query that a schema accepts. @throws Refusal invalid_request, which says what a parameter takes */
export function checkQuery<S extends s.AnyObject>(schema: S, query: Readonly<Record<string, string>>): s.infer<S> {
  const result = s.safeParse(schema, { ...query });
  if (result.success) return result.data as s.infer<S>;
  throw queryFault(schema, result.error.issues[0]);
}

function queryFault(accepted: s.AnyObject, issue: s.Issue | undefined): Refusal {
  const known = `Known parameters: ${Object.keys(s.shapeOf(accepted)).join(', ')}.`;
  if (issue?.code === 'unrecognized_keys')
    return malformed('query_unknown', 'The query has a parameter that is not known here.', known);
  const name = String(issue?.path[0] ?? '');
  const wants = wantsOf(issue);
  const detail = `The query parameter ${name} is not valid${wants === undefined ? '' : `; it takes ${wants}`}.`;
  return malformed('query_member', detail, known);
}

/** What a parameter takes, where its schema says so in words. */
function wantsOf(issue: s.Issue | undefined): string | undefined {
  if (issue?.code === 'invalid_value') return issue.values.join(', ');
  return issue?.message;
}

const isTokenShaped = (part: string) => part.startsWith('eyJ') && part.split('.').length === 3;

const tokenInUrl = () =>
  malformed(
    'token_in_url',
    'A token does not belong into a URL.',
    'Send it as Authorization: Bearer, and let it expire.',
  );

/** @throws Refusal not_acceptable unless Accept takes JSON, or one of the other types */
export function checkAccept(accept: string | null, others: readonly string[] = []): void {
  if (accept === null || accept === '*/*' || accept === 'application/json') return;
  const types = ['application/json', ...others];
  if (wantedOf(accept, types) === undefined)
    throw new Refusal('not_acceptable', 'accept', { hint: `This route answers in ${types.join(', ')}.` });
}

/**
 * Of these types the one that Accept (RFC 9110 section 12.5.1) wants most, and of several such the one that it names first;
 * undefined: it takes none. For each type the range counts that says most of it.
 */
export function wantedOf(accept: string | null, types: readonly string[]): string | undefined {
  if (accept === null || accept.trim() === '') return types[0];
  const ranges = accept.split(',', 64).map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const weight = Number(parameters.find((text) => text.startsWith('q='))?.slice(2) ?? '1');
    return { type, weight: Number.isNaN(weight) ? 1 : weight };
  });
  const rated = types.map((type) => {
    const rangesOf = [type, type.replace(/\/.*/, '/*'), '*/*'];
    const place = rangesOf.map((one) => ranges.findIndex((range) => range.type === one)).find((at) => at >= 0) ?? -1;
    return { type, place, weight: ranges[place]?.weight ?? 0 };
  });
  return rated.filter(({ weight }) => weight > 0).sort((a, b) => b.weight - a.weight || a.place - b.place)[0]?.type;
}

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
