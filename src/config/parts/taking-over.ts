import { replacing } from '../../ledger/confirming/relying.ts';
import type { Standby } from '../../ledger/going-on/standby.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import type { Platform } from '../../lib/platform.ts';
import { Refusal } from '../../lib/refusal.ts';

/** Whether the one that is followed still answers, as far as can be told from here. It decides when, never whether. */
export interface Pulse {
  /** It answers when there is something new, as somebody waits for what is here. */
  waits: boolean;
  answered(): void;
  missed(): void;
  /** For so long, and more than once. */
  silent(ms: number): boolean;
}

/** How often it must not have answered: a connection that was lost is no silence. */
const leastMissed = 2;

export function openPulse(now: () => number): Pulse {
  let since = now();
  let misses = 0;
  return {
    waits: false,
    answered() {
      since = now();
      misses = 0;
    },
    missed() {
      misses++;
    },
    silent: (ms) => misses >= leastMissed && now() - since >= ms,
  };
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
    await standby.takeOver(() => deadlineIn(promoteMs, now));
    log('warn', 'promoted_itself', { ms: after });
  } catch (error) {
    const reason = error instanceof Refusal ? error.reason : 'internal';
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
