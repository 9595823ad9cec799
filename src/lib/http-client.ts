import { before, type Deadline } from './deadline.ts';

export type HttpFault = 'timeout' | 'unreachable' | 'redirect' | 'too_large' | 'truncated';

/** An outbound call that gave no usable answer; carries nothing of the other side's words. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  constructor(
    readonly fault: HttpFault,
    options?: { cause?: unknown },
  ) {
    super(fault, options);
  }

  /** A stable word for the operator's log, finer than the fault where the runtime tells why nothing was reached. */
  get reason(): string {
    return this.fault === 'unreachable' ? (networkReason(this.cause) ?? this.fault) : this.fault;
  }
}

const networkReasons: readonly (readonly [RegExp, string])[] = [
  [/^(ECONNREFUSED)$/, 'connection_refused'],
  [/^(ENOTFOUND|EAI_AGAIN|EAI_FAIL)$/, 'no_such_host'],
  [/^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/, 'connection_reset'],
  [/^(ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/, 'connect_timeout'],
  [/CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO/, 'tls'],
  // The file of the certificates to be pinned.
  [/^(NO_CA)$/, 'no_ca'],
];

/** From the error codes in the causes of a failed fetch: Node's, and our own. */
function networkReason(cause: unknown): string | undefined {
  let error: unknown = cause;
  for (let depth = 0; depth < 4 && error instanceof Error; depth++, error = error.cause) {
    const code = 'code' in error ? String(error.code) : '';
    const found = networkReasons.find(([pattern]) => pattern.test(code));
    if (found !== undefined) return found[1];
  }
  return undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

export interface HttpLimits {
  readonly deadline: Deadline;
  /** Bytes of the decoded body. */
  readonly maxBytes: number;
  /** What is more is left unread, for whom the status says most; else it is a fault. */
  readonly cut?: true;
}

/**
 * One outbound HTTP call: no redirect is followed, the whole of it (headers and body) ends by the deadline, the body
 * is bounded. Any status but a redirect is an answer.
 *
 * @throws HttpError
 */
export async function callHttp(
  fetch: (url: string, init: RequestInit) => Promise<Response>,
  url: string,
  init: RequestInit,
  limits: HttpLimits,
): Promise<HttpAnswer> {
  return before(
    limits.deadline,
    () => new HttpError('timeout'),
    async (signal) => {
      let response: Response;
      try {
        response = await fetch(url, { ...init, redirect: 'manual', signal });
      } catch (cause) {
        throw new HttpError(signal.aborted ? 'timeout' : 'unreachable', { cause });
      }
      if (
        response.type === 'opaqueredirect' ||
        (response.status >= 300 && response.status < 400 && response.status !== 304)
      ) {
        await response.body?.cancel().catch(() => {});
        throw new HttpError('redirect');
      }
      return {
        status: response.status,
        headers: response.headers,
        body: await readBounded(response, limits, signal),
      };
    },
  );
}

async function readBounded(
  response: Response,
  { maxBytes, cut }: HttpLimits,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  if (reader === undefined) return new Uint8Array(0);
  for (;;) {
    const { done, value } = await reader.read().catch((cause) => {
      throw new HttpError(signal.aborted ? 'timeout' : 'truncated', { cause });
    });
    if (done) return Buffer.concat(parts);
    size += value.byteLength;
    if (size > maxBytes) {
      await reader.cancel().catch(() => {});
      if (cut !== true) throw new HttpError('too_large');
      return Buffer.concat([...parts, value]).subarray(0, maxBytes);
    }
    parts.push(value);
  }
}
