import type { Platform } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import { newUlid } from '../lib/ulid.ts';
import { problemOf } from './problem.ts';

/** The answer to what is no HTTP request at all, ahead of the app; it is logged as the app logs its own. */
export function notHttp(platform: Platform) {
  const request = newUlid(platform.now(), platform.random);
  const refusal = new Refusal('invalid_request', 'not_http', { detail: 'The request line or a header is malformed.' });
  const problem = problemOf(refusal, request);
  const headers = {
    ...problem.headers,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-request-id': request,
    'content-length': String(Buffer.byteLength(problem.body)),
  };
  platform.log('info', 'request', {
    request,
    route: 'none',
    status: problem.status,
    code: refusal.code,
    reason: refusal.reason,
  });
  return { ...problem, headers, response: () => new Response(problem.body, { status: problem.status, headers }) };
}
