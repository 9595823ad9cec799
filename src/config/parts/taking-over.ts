import { replacing } from '../../ledger/confirming/relying.ts';
import { PromoteError } from '../../ledger/going-on/promote.ts';
import type { Standby } from '../../ledger/going-on/standby.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import { type HttpAnswer, HttpError } from '../../lib/http-client.ts';
import type { Platform } from '../../lib/platform.ts';
import { Refusal } from '../../lib/refusal.ts';
import { parseStrictJsonObject } from '../../lib/strict-json.ts';

/** Whether the one that is followed still answers, as far as can be told from here. It decides when, never whether. */
export interface Pulse {
  /** It answers when there is something new, as somebody waits for what is here. */
  waits: boolean;
  answered(): void;
  /** A question that was asked at this time got no answer at all. */
  missed(askedAt: number): void;
  /** It has answered none of its questions for so long, and that was more than one. */
  silent(ms: number): boolean;
}

/** How often it must not have answered: a connection that was lost is no silence. */
const leastMissed = 2;

/** Between two questions besides the time that one may take, milliseconds. */
const betweenMs = 5_000;

/**
 * Silence begins with a question, which takes `mostMs` at most: where more time went by, or none was asked for long, this
 * process stood still itself, and nobody was silent.
 */
export function openPulse(now: () => number, mostMs: number): Pulse {
  let since = 0;
  let last = 0;
  let misses = 0;
  return {
    waits: false,
    answered() {
      misses = 0;
    },
    missed(askedAt) {
      if (now() - last > mostMs + betweenMs) misses = 0;
      last = now();
      if (misses === 0) since = Math.max(askedAt, last - mostMs);
      misses++;
    },
    silent(ms) {
      // A clock that was set back: what is silent is so from now on.
      since = Math.min(since, now());
      return misses >= leastMissed && now() - since >= ms;
    },
  };
}

/**
 * Whether an answer shows that the one that was asked is alive, whatever it says: overloaded or without its database it is.
 * Of failures, which a proxy tells for one that is away, only a problem of Hallpass's own does.
 */
export function isOfTheLiving({ status, body }: Pick<HttpAnswer, 'status' | 'body'>): boolean {
  if (status < 500) return true;
  try {
    return String(parseStrictJsonObject(body).type).startsWith('urn:hallpass:problem:');
  } catch {
    return false;
  }
}

const noAnswer: ReadonlySet<string> = new Set(['timeout', 'unreachable', 'truncated']);
const notReached: ReadonlySet<string> = new Set(['tls', 'no_ca']);

/** Whether a call that failed got no answer at all: one that cannot be taken, or cannot be had for what is set up here, is no silence. */
export const isUnanswered = (error: unknown): boolean =>
  error instanceof HttpError && noAnswer.has(error.fault) && !notReached.has(error.reason);

/** What a call that failed says of the other. `hadTime`: as much as a question has; what was taken of it here is no silence. */
export function failed(pulse: Pulse, error: unknown, askedAt: number, hadTime: boolean): void {
  if (!isUnanswered(error)) pulse.answered();
  else if (hadTime || (error as HttpError).fault !== 'timeout') pulse.missed(askedAt);
}

/** How long a promotion may take, milliseconds. */
const promoteMs = 10_000;

/** Takes over where the first is silent, and says why it cannot, once for each reason. */
export async function takeOverIfSilent(
  standby: Standby,
  pulse: Pulse,
  after: number,
  { now, log }: Pick<Platform, 'now' | 'log'>,
  told: { reason?: string | undefined },
): Promise<void> {
  if (!pulse.silent(after)) return;
  try {
    const { generation } = await standby.takeOver(() => deadlineIn(promoteMs, now));
    log('warn', 'promoted_itself', { ms: after, generation });
  } catch (error) {
    const ours = error instanceof PromoteError ? 'begun' : 'internal';
    const reason = error instanceof Refusal ? error.reason : ours;
    if (told.reason !== reason) log('error', 'not_promoted', { reason });
    told.reason = reason;
  }
}

/** Between two tries to tell it, milliseconds. */
const tellMs = 5_000;

/** Tells the one that was replaced, until it has heard: it answers nothing by then, and is to say why. */
export function startTelling(
  ledger: Pick<Ledger, 'reader' | 'texts'>,
  tell: (said: Readonly<Record<string, string>>, deadline: Deadline) => Promise<void>,
  now: () => number,
): { stop(): Promise<void> } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;

  async function pass(): Promise<void> {
    const deadline = deadlineIn(tellMs, now);
    const heard = await replacing(ledger, deadline)
      .then(async (said) => {
        if (said === undefined) return;
        const { instance, after, promoted } = said;
        await tell({ instance, after: String(after), promoted: String(promoted) }, deadline);
      })
      .then(
        () => true,
        () => false,
      );
    if (heard || stopped) return;
    timer = setTimeout(() => {
      telling = pass();
    }, tellMs).unref();
  }

  let telling = pass();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await telling;
    },
  };
}
