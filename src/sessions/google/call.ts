import type { Deadline } from '../../lib/deadline.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { askJson, UpstreamError, type UpstreamFault } from '../../lib/upstream.ts';
import type { SessionDeps, SessionKeeper } from '../session.ts';
import { googleCode, statusOf } from './error.ts';

export interface GoogleCall {
  readonly step: string;
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON text; made once the session is there, where it says how long something is to last. */
  readonly body?: string | (() => string) | undefined;
  readonly deadline: Deadline;
  /** Bytes of the answer; default 256 KiB. */
  readonly maxBytes?: number;
}

/** One call to a Google API with the session's token. @throws UpstreamError, and what logging in throws */
export type CallGoogle = (call: GoogleCall) => Promise<JsonObject>;

/** By google.rpc.Code, which is finer than the HTTP status: 400 is FAILED_PRECONDITION as well as INVALID_ARGUMENT. */
const faults: ReadonlyMap<string | undefined, UpstreamFault> = new Map([
  ['NOT_FOUND', 'absent'],
  ['PERMISSION_DENIED', 'denied'],
  ['UNAUTHENTICATED', 'denied'],
  ['FAILED_PRECONDITION', 'disabled'],
  ['RESOURCE_EXHAUSTED', 'throttled'],
  ['INVALID_ARGUMENT', 'invalid'],
  ['UNAVAILABLE', 'unreachable'],
]);

export function googleCaller(session: SessionKeeper<string>, { fetch, step: tell }: SessionDeps): CallGoogle {
  async function call({ step, url, method, body, headers, deadline, maxBytes }: GoogleCall, token: string) {
    tell?.(step);
    const init = {
      method,
      headers: { 'content-type': 'application/json', ...headers, authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : body() }),
    };
    return askJson(fetch, url, init, {
      step,
      deadline,
      ...(maxBytes === undefined ? {} : { maxBytes }),
      codeOf: googleCode,
      faultOf: (_, said) => faults.get(statusOf(said)),
    });
  }

  return async (asked) => {
    const token = await session.get(asked.deadline);
    try {
      return await call(asked, token);
    } catch (error) {
      if (!(error instanceof UpstreamError) || error.facts.status !== 401) throw error;
      // The token died early: one new login, and what it gives is final.
      session.drop(token);
      return call(asked, await session.get(asked.deadline));
    }
  };
}
