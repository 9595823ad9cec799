import { deadlineIn } from '../../lib/deadline.ts';
import { callHttp } from '../../lib/http-client.ts';
import type { SessionDeps } from '../session.ts';
import { percentEncode } from './sign.ts';

/** A request as AWS's SDK hands it over; its path is encoded, its query is not. */
export interface SdkRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly path: string;
  readonly query?: Record<string, string | string[] | null>;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface SdkResponse {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

export interface SdkTransport {
  /** @throws HttpError */
  handle(
    request: SdkRequest,
    options?: { readonly requestTimeout?: number },
  ): Promise<{ readonly response: SdkResponse }>;
}

const usualBytes = 1024 * 1024;
/** For a call that names none, milliseconds. */
const usualMs = 5_000;

/** As it is signed: everything but the unreserved characters percent-encoded (RFC 3986 section 2.3). */
function queryOf({ query = {} }: SdkRequest): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? '']).map((each) => `${percentEncode(name)}=${percentEncode(each)}`),
  );
  return pairs.length === 0 ? '' : `?${pairs.sort().join('&')}`;
}

export const hostOf = ({ hostname, port }: SdkRequest): string =>
  port === undefined ? hostname : `${hostname}:${port}`;

/** The SDK's way out: as every other call, with a deadline, a bound on the answer, and no redirect followed. */
export function sdkTransport({ fetch, now }: Pick<SessionDeps, 'fetch' | 'now'>, maxBytes = usualBytes): SdkTransport {
  return {
    async handle(request, { requestTimeout = usualMs } = {}) {
      const { protocol, path, method, body } = request;
      // The runtime writes these two itself, as they are.
      const { host: _, 'content-length': __, ...headers } = request.headers;
      const init = { method, headers, body: body as string };
      const limits = { deadline: deadlineIn(requestTimeout, now), maxBytes };
      const answer = await callHttp(fetch, `${protocol}//${hostOf(request)}${path}${queryOf(request)}`, init, limits);
      const response = {
        statusCode: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: answer.body,
      };
      return { response };
    },
  };
}
