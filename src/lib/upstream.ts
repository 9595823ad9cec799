import type { Deadline } from './deadline.ts';
import { callHttp, HttpError } from './http-client.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from './strict-json.ts';

/**
 * What a refusal of another service means to us; a caller acts differently on each. `absent` no such name or version;
 * `denied` it refused us; `disabled` it is there and switched off; `throttled` it wants us to wait; `unreachable` no usable
 * answer; `slow` no answer by the deadline; `read_only` it takes no writes; `invalid` a name or value it cannot hold;
 * `damaged` what it gave fails its own integrity check.
 */
export type UpstreamFault =
  | 'absent'
  | 'denied'
  | 'disabled'
  | 'throttled'
  | 'unreachable'
  | 'slow'
  | 'read_only'
  | 'invalid'
  | 'damaged';

/** For the operator's log and `store check`; a caller sees none of it. */
export interface UpstreamFacts {
  /** What was being done, a stable word: `assertion`, `exchange`, `impersonate`, `login`, `read`, `list`, `sign`, ... */
  readonly step?: string | undefined;
  /** A stable word, finer than the fault: `tls`, `redirect`, `too_large`, `not_json`, `clock_skew`, ... */
  readonly reason?: string | undefined;
  readonly status?: number | undefined;
  /** The other side's own error code; kept only where it is one plain word. */
  readonly code?: string | undefined;
  /** Which file of ours was to prove us. */
  readonly file?: string | undefined;
  /** Seconds it asked us to wait. */
  readonly retryAfter?: number | undefined;
}

/** A call to another service that failed; carries nothing of its words but a code, `cause` stays inside the process. */
export class UpstreamError extends Error {
  override readonly name: string = 'UpstreamError';
  readonly facts: UpstreamFacts;
  constructor(
    readonly fault: UpstreamFault,
    { cause, ...facts }: UpstreamFacts & { readonly cause?: unknown } = {},
  ) {
    super(fault, { cause });
    const code =
      facts.code !== undefined && /^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/.test(facts.code) ? facts.code : undefined;
    this.facts = { ...facts, code };
  }
}

/** What an HTTP status means where the service says nothing finer. */
export function faultOfStatus(status: number): UpstreamFault {
  if (status === 401 || status === 403) return 'denied';
  if (status === 404 || status === 410) return 'absent';
  if (status === 429) return 'throttled';
  return status === 400 || status === 422 ? 'invalid' : 'unreachable';
}

/** An outbound call that gave no answer, as an UpstreamError. */
export function fromHttpError(error: HttpError, step: string): UpstreamError {
  const fault = error.fault === 'timeout' ? 'slow' : 'unreachable';
  return new UpstreamError(fault, { step, reason: error.reason, cause: error });
}

/** Seconds of a `Retry-After` in seconds, at most an hour; a date, or none, is undefined. */
export function retryAfterOf(headers: Headers): number | undefined {
  const text = headers.get('retry-after') ?? '';
  return /^\d{1,9}$/.test(text) ? Math.min(Number(text), 3600) : undefined;
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface AskOptions {
  readonly step: string;
  readonly deadline: Deadline;
  /** Bytes of the decoded answer; default 256 KiB. */
  readonly maxBytes?: number;
  /** The service's own error code in the JSON body of a refusal. */
  readonly codeOf?: (body: JsonObject) => unknown;
  /** What a refusal means, where its status alone does not say. */
  readonly faultOf?: (status: number, body: JsonObject, code: string | undefined) => UpstreamFault | undefined;
}

/**
 * One call to a service that answers 2xx with a JSON object (or with nothing, read as `{}`).
 *
 * @throws UpstreamError and nothing else
 */
export async function askJson(fetch: Fetch, url: string, init: RequestInit, options: AskOptions): Promise<JsonObject> {
  const { step, deadline, maxBytes = 256 * 1024 } = options;
  const answer = await callHttp(fetch, url, init, { deadline, maxBytes }).catch((error) => {
    throw error instanceof HttpError ? fromHttpError(error, step) : error;
  });
  const { status } = answer;
  const body = jsonOf(answer.body);
  if (status >= 200 && status < 300) {
    if (body === undefined) throw new UpstreamError('unreachable', { step, reason: 'not_json', status });
    return body;
  }
  const said = options.codeOf?.(body ?? {});
  const code = typeof said === 'string' ? said : undefined;
  // A page of whatever stands in front is not the service's word that there is nothing.
  const silent = status === 404 && body === undefined;
  const fault = silent ? 'unreachable' : (options.faultOf?.(status, body ?? {}, code) ?? faultOfStatus(status));
  const reason = silent ? 'not_json' : status >= 500 ? 'server_error' : fault === 'throttled' ? 'throttled' : undefined;
  throw new UpstreamError(fault, { step, status, code, reason, retryAfter: retryAfterOf(answer.headers) });
}

function jsonOf(body: Uint8Array): JsonObject | undefined {
  if (body.length === 0) return {};
  try {
    const value = parseStrictJson(body);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
