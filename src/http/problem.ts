import type { ProblemCode, Refusal } from '../lib/refusal.ts';

export interface Shape {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** Seconds; sent as Retry-After unless the refusal says otherwise. */
  readonly retryAfter?: number;
  /** One answer for all causes: nothing a refusal carries is added to it. */
  readonly mute?: true;
}

/** What each code looks like on the wire; exhaustive, so a new code does not compile until it has a shape. */
export function shapeOf(code: ProblemCode): Shape {
  switch (code) {
    case 'invalid_request':
      return { status: 400, title: 'Invalid request', detail: 'The body, the query or a header is malformed.' };
    case 'token_missing':
      return {
        status: 401,
        title: 'Token missing',
        detail: 'Send the workload token as Authorization: Bearer.',
        mute: true,
      };
    case 'token_invalid':
      return { status: 401, title: 'Token invalid', detail: 'The workload token was not accepted.', mute: true };
    case 'denied':
      return { status: 403, title: 'Denied', detail: 'This identity may not do this.', mute: true };
    case 'not_found':
      return { status: 404, title: 'Not found', detail: 'There is nothing here.' };
    case 'method_not_allowed':
      return { status: 405, title: 'Method not allowed', detail: 'This route does not take that method; see Allow.' };
    case 'not_acceptable':
      return { status: 406, title: 'Not acceptable', detail: 'This route answers in none of the accepted types.' };
    case 'replayed':
      return { status: 409, title: 'Replayed', detail: 'This grant takes a token once, and this one was used.' };
    case 'stale':
      return { status: 409, title: 'Stale', detail: 'Decided under an old epoch; decide again.' };
    case 'too_large':
      return { status: 413, title: 'Too large', detail: 'The body is larger than this route takes.' };
    case 'unsupported_media_type':
      return { status: 415, title: 'Unsupported media type', detail: 'The body must be application/json in UTF-8.' };
    case 'rate_limited':
      return { status: 429, title: 'Rate limited', detail: 'Too many requests.', retryAfter: 1 };
    case 'internal':
      return {
        status: 500,
        title: 'Internal error',
        detail: 'A bug; the operator finds it by the request id.',
        mute: true,
      };
    case 'store_failed':
      return { status: 502, title: 'Store failed', detail: 'The store or the target system refused.' };
    case 'ledger_unavailable':
      return {
        status: 503,
        title: 'Ledger unavailable',
        detail: 'It could not be recorded for certain, so nothing was released.',
        retryAfter: 2,
      };
    case 'issuer_unavailable':
      return {
        status: 503,
        title: 'Issuer unavailable',
        detail: "The token's issuer could not be reached for its keys.",
        retryAfter: 5,
      };
    case 'overloaded':
      return { status: 503, title: 'Overloaded', detail: 'Too many requests are open.', retryAfter: 1 };
    case 'store_timeout':
      return { status: 504, title: 'Store timeout', detail: 'The store or the target system did not answer in time.' };
  }
}

/** The application/problem+json text (RFC 9457) of a refusal, with the headers it calls for. */
export function problemOf(
  refusal: Refusal,
  requestId: string,
): { status: number; headers: Record<string, string>; body: string } {
  const { code, options } = refusal;
  const shape = shapeOf(code);
  const said = shape.mute ? undefined : options;
  const body = JSON.stringify({
    ...(code === 'stale' || code === 'replayed' || code === 'denied' ? options.members : undefined),
    type: `urn:hallpass:problem:${code}`,
    title: shape.title,
    status: shape.status,
    detail: said?.detail ?? shape.detail,
    code,
    requestId,
    hint: said?.hint,
  });
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  const retryAfter = options.retryAfter ?? shape.retryAfter;
  if (retryAfter !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfter)));
  if (shape.status === 401)
    headers['www-authenticate'] = `Bearer error="invalid_token", error_description="${shape.title}"`;
  return { status: shape.status, headers, body };
}
