import { type ProblemCode, Refusal } from '../lib/refusal.ts';
import { shapeOf } from './problem.ts';

/** RFC 6749 section 5.2 and RFC 8707 section 2; the last two are those of RFC 6749 section 4.1.2.1. */
export type OAuthError =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_scope'
  | 'invalid_target'
  | 'unsupported_grant_type'
  | 'temporarily_unavailable'
  | 'server_error';

interface Shape {
  readonly error: OAuthError;
  /** Default: that of the problem. */
  readonly status?: 400;
  /** Instead of the problem's words, and of what a refusal carries. */
  readonly description?: string;
}

const invalidRequest = { error: 'invalid_request' } as const;
// RFC 8693 section 2.2.2: a subject token that is not taken, for whatever reason, makes the request invalid.
const badToken = { error: 'invalid_request', status: 400, description: 'The subject_token was not accepted.' } as const;
const unavailable = { error: 'temporarily_unavailable' } as const;

/** What OAuth calls each of our codes; exhaustive, as the table of problems is. */
const shapes: Readonly<Record<ProblemCode, Shape>> = {
  invalid_request: invalidRequest,
  token_missing: badToken,
  token_invalid: badToken,
  // One answer for a target that is not granted, is none, or is no token.
  denied: { error: 'invalid_target', status: 400, description: 'There is no token for this identity and target.' },
  not_found: invalidRequest,
  method_not_allowed: invalidRequest,
  not_acceptable: invalidRequest,
  too_large: invalidRequest,
  unsupported_media_type: {
    error: 'invalid_request',
    status: 400,
    description: 'The body must be application/x-www-form-urlencoded in UTF-8.',
  },
  replayed: { error: 'invalid_grant', status: 400, description: 'This subject_token can be used once, and was.' },
  stale: unavailable,
  rate_limited: unavailable,
  store_failed: { error: 'server_error' },
  store_timeout: unavailable,
  ledger_unavailable: unavailable,
  issuer_unavailable: unavailable,
  overloaded: unavailable,
  internal: { error: 'server_error' },
};

/** A refusal of what the request itself shows to be wrong. */
export const oauthRefusal = (error: OAuthError, reason: string, detail: string): Refusal =>
  new Refusal('invalid_request', reason, { detail, members: { error } });

/** The JSON (RFC 6749 section 5.2) of a refusal, with the headers it calls for. */
export function oauthErrorOf(
  refusal: Refusal,
  requestId: string,
): { status: number; headers: Record<string, string>; body: string } {
  const { code, options } = refusal;
  const problem = shapeOf(code);
  const { error, status = problem.status, description } = shapes[code];
  const said = problem.mute || code !== 'invalid_request' ? undefined : options;
  const body = JSON.stringify({
    error: said?.members?.error ?? error,
    error_description: said?.detail ?? description ?? problem.detail,
    request_id: requestId,
  });
  const headers: Record<string, string> = { 'content-type': 'application/json', pragma: 'no-cache' };
  const retryAfter = options.retryAfter ?? problem.retryAfter;
  if (retryAfter !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfter)));
  return { status, headers, body };
}
