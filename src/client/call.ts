import { HallpassError } from './error.ts';
import type { ClientPlatform } from './platform.ts';
import { findToken, type TokenSource } from './token.ts';

/** Which Hallpass is asked, and as whom. */
export interface Target {
  readonly url: string;
  /** What the workload token is for. */
  readonly audience: string;
  /** false: none is sent, as the way to Hallpass (a Worker's service binding) says who calls. */
  readonly token: string | TokenSource | false | undefined;
  readonly platform: ClientPlatform;
}

export interface Call {
  readonly method: 'POST' | 'DELETE';
  readonly path: string;
  /** For the message of an error: what cannot be done. */
  readonly what: string;
  readonly body?: object;
  /** Shown in place of the workload token. */
  readonly handle?: string | undefined;
  /** Milliseconds for all tries together. */
  readonly timeout: number;
  /** 5 when left out. */
  readonly tries?: number;
}

const firstPauseMs = 200;

/** One call, tried again while Hallpass is away or busy, when it says and within the time. @throws HallpassError */
export async function callHallpass(to: Target, call: Call): Promise<unknown> {
  const { now, wait } = to.platform;
  const deadline = now() + call.timeout;
  // By a clock that nobody sets.
  const signal = AbortSignal.timeout(Math.ceil(Math.max(1, call.timeout)));
  for (let tried = 1; ; tried++) {
    try {
      return await callOnce(to, call, signal);
    } catch (error) {
      if (!(error instanceof HallpassError) || !error.passing || tried >= (call.tries ?? 5)) throw error;
      const pause = error.retryAfter ? error.retryAfter * 1000 : backOff(tried);
      if (signal.aborted || now() + pause >= deadline) throw error;
      await wait(pause);
    }
  }
}

// Chance by the system's generator: that of Math.random is part of a snapshot, and the same in all of its copies.
function backOff(tried: number): number {
  const [chance = 0] = crypto.getRandomValues(new Uint8Array(1));
  return firstPauseMs * 2 ** (tried - 1) * (1 + chance / 255);
}

async function callOnce(to: Target, call: Call, signal: AbortSignal): Promise<unknown> {
  const { url, platform } = to;
  const { method, path, what, body, handle } = call;
  const headers: Record<string, string> = {};
  if (handle) headers['hallpass-lease'] = handle;
  else if (to.token !== false) headers.authorization = `Bearer ${await tokenOf(to, signal)}`;
  if (body) headers['content-type'] = 'application/json';
  const init = { method, headers, body: body && JSON.stringify(body), redirect: 'manual', signal } as const;
  const [{ ok, status, headers: said }, text] = await platform
    .fetch(url + path, init as RequestInit)
    .then(async (answer) => [answer, await answer.text()] as const)
    .catch((cause) => {
      const hint = `wait until ${url}/readyz answers`;
      throw new HallpassError('unreachable', `cannot ${what}, ${url} does not answer`, { cause, hint });
    });
  const answer = parse(text);
  // What sends no body ends a lease, by 202 or 204: what stands in Hallpass's place may say 200 to anything.
  if (ok && answer && (body || status > 200)) return answer;
  const { code = 'not_understood', detail, requestId, hint = hints(to)[code] } = answer ?? {};
  throw new HallpassError(code, `cannot ${what}, ${url} answers ${[status, code, detail].join(' ').trim()}`, {
    status,
    requestId,
    hint,
    // In seconds, as Hallpass says it; a date is left unread.
    retryAfter: Number(said.get('retry-after')) || undefined,
  });
}

const hints = ({ audience }: Target): Readonly<Record<string, string>> => ({
  denied: '`hallpass explain` says why',
  token_invalid: `needs a live token for audience ${audience}`,
});

interface Problem {
  readonly code?: string;
  readonly detail?: string;
  readonly requestId?: string;
  readonly hint?: string;
}

/** Nothing at all is an empty object; undefined for what is no JSON. */
function parse(text: string): Problem | undefined {
  try {
    return JSON.parse(text || '{}');
  } catch {
    return undefined;
  }
}

async function tokenOf({ token, audience, platform }: Target, signal: AbortSignal): Promise<string> {
  try {
    signal.throwIfAborted();
    const find = typeof token === 'function' ? token : () => token || findToken(audience, signal, platform);
    const found = await Promise.race([
      find(audience, signal),
      // A source need not look at the signal. Made after a source that throws at once, as nobody would wait for it.
      new Promise<never>((_, fail) => {
        signal.onabort = () => fail(signal.reason);
      }),
    ]);
    // Else the error of fetch would show it.
    if (/^[\x21-\x7e]+$/.test(found)) return found;
    throw new Error('none given');
  } catch (cause) {
    throw new HallpassError('no_token', `no workload token: ${(cause as Error).message}`, { cause });
  }
}
