import type { Deadline } from '../lib/deadline.ts';
import { callHttp, HttpError } from '../lib/http-client.ts';
import type { ReadRef, Ref } from '../lib/ref.ts';
import {
  type Fetch,
  faultOfStatus,
  fromHttpError,
  retryAfterOf,
  UpstreamError,
  type UpstreamFault,
} from '../lib/upstream.ts';

const maxAnswerBytes = 64 * 1024;
export const step = 'deliver';

export interface Posted {
  readonly status: number;
  readonly body: Uint8Array;
}

/** One POST; any answer but 2xx and those in `also` is a failure. @throws UpstreamError */
export async function post(
  fetch: Fetch,
  url: string,
  { headers, body }: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
  deadline: Deadline,
  also: readonly number[] = [],
): Promise<Posted> {
  const init = { method: 'POST', headers: headersOf(headers), body };
  // A status is an answer, whatever page comes with it.
  const limits = { deadline, maxBytes: maxAnswerBytes, cut: true } as const;
  const answer = await callHttp(fetch, url, init, limits).catch((error) => {
    throw error instanceof HttpError ? fromHttpError(error, step) : error;
  });
  const { status } = answer;
  if ((status >= 200 && status < 300) || also.includes(status)) return answer;
  const reason = status >= 500 ? 'server_error' : undefined;
  throw new UpstreamError(faultOf(status), { step, status, reason, retryAfter: retryAfterOf(answer.headers) });
}

/** Of what it does not take as it is, trying again alone does not help. */
function faultOf(status: number): UpstreamFault {
  const fault = faultOfStatus(status);
  const passes = status === 408 || status === 409 || status === 425;
  return fault === 'unreachable' && status >= 400 && status < 500 && !passes ? 'invalid' : fault;
}

/** A value that no header can carry is a secret nevertheless: the runtime's own error would quote it. */
function headersOf(headers: Readonly<Record<string, string>>): Headers {
  try {
    return new Headers(headers);
  } catch {
    throw new UpstreamError('invalid', { step, reason: 'header_value' });
  }
}

/** The values of secret header fields. @throws Refusal */
export async function readHeaders(
  refs: Readonly<Record<string, Ref>> | undefined,
  read: ReadRef,
  deadline: Deadline,
): Promise<Record<string, string>> {
  const values = Object.entries(refs ?? {}).map(
    async ([name, ref]) => [name, (await read(ref, deadline)).value.revealText().trim()] as const,
  );
  return Object.fromEntries(await Promise.all(values));
}
