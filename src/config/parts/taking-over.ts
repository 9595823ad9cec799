import { type Relying, replacing } from '../../ledger/confirming/relying.ts';
import { PromoteError } from '../../ledger/going-on/promote.ts';
import type { Standby } from '../../ledger/going-on/standby.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { unavailable } from '../../ledger/unavailable.ts';
import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import { type HttpAnswer, HttpError } from '../../lib/http-client.ts';
import type { Platform } from '../../lib/platform.ts';
import { Refusal } from '../../lib/refusal.ts';
import { parseStrictJsonObject } from '../../lib/strict-json.ts';

/** Whether the one that is followed still answers, as far as can be told from here. It decides when, never whether. */
export interface Pulse {
  /** It answers when there is something new, as somebody waits for what is here. */
  waits: boolean;
  /** It has answered this process, whatever it said, and the other processes of the standby were not told so yet. */
  alive: boolean;
  /** It has left no question unanswered since it answered last. */
  readonly well: boolean;
  /** How long a question may take; milliseconds. */
  readonly mostMs: number;
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
    alive: false,
    mostMs,
    get well() {
      return misses === 0;
    },
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

/** Between the processes of a standby: which of them has an answer from the first. */
export type Doubts = Pick<Relying, 'doubt' | 'answered'>;

/** What a process remembers between two looks at whether it is to take over. */
export interface Told {
  /** Why it could not. */
  reason?: string | undefined;
  /** What it has asked the other processes of its standby, and since when. */
  doubt?: { readonly text: string; readonly since: number; readonly again: boolean } | undefined;
}

/** So much of the time that a question may take, the other processes of a standby have to say that theirs was answered. */
const doubtShare = 0.8;

/** Whether it is time to take over: by what no process of this standby had an answer to. Rejects with Refusal ledger_unavailable. */
async function doubted(doubts: Doubts | undefined, { mostMs }: Pulse, told: Told, now: () => number) {
  const text = await doubts?.doubt(deadlineIn(promoteMs, now));
  // Nobody has promised anything: that is said by whoever asks for more.
  if (text === undefined) return { stands: true };
  const was = told.doubt;
  // A clock that was set back: it is asked from now on.
  const since = was?.text === text ? Math.min(was.since, now()) : now();
  told.doubt = { text, since, again: was !== undefined && (was.again || was.text !== text) };
  return { stands: now() - since >= mostMs * doubtShare, text };
}

/** Takes over where the first is silent to all processes of its standby, and says why it cannot, once for each reason. */
export async function takeOverIfSilent(
  standby: Standby,
  pulse: Pulse,
  after: number,
  { now, log, doubts }: Pick<Platform, 'now' | 'log'> & { readonly doubts?: Doubts | undefined },
  told: Told,
): Promise<void> {
  const deadline = () => deadlineIn(promoteMs, now);
  if (pulse.alive)
    await doubts?.answered(deadline()).then(
      () => {
        pulse.alive = false;
      },
      () => {},
    );
  if (pulse.well) {
    told.reason = undefined;
    told.doubt = undefined;
    return;
  }
  try {
    const { stands, text } = await doubted(doubts, pulse, told, now);
    if (!pulse.silent(after)) return;
    if (!stands && told.doubt?.again !== true) return;
    if (!stands) throw unavailable('answered');
    const { generation } = await standby.takeOver(deadline, text);
    log('warn', 'promoted_itself', { ms: after, generation });
  } catch (error) {
    if (!pulse.silent(after)) return;
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
