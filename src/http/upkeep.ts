import { type Deadline, deadlineIn } from '../lib/deadline.ts';
import type { Platform } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';

/** Between two passes, and the most that one may take; milliseconds. */
const pauseMs = 30_000;
/** Before the first: a process is often started for a request that comes at once, and a pass takes as long as answering it. */
const firstMs = 1_000;

/** What the ledger itself has said by then: `standby_away`. */
const saidAlready: ReadonlySet<string> = new Set(['unconfirmed']);

/**
 * Finishes what was left open at the ledger and at targets: a second from now, and again and again while the server lives. Beside
 * serving: a slow target keeps nobody waiting, and the timer keeps no process alive.
 */
export function startUpkeep(
  recover: (deadline: Deadline) => Promise<void>,
  { now, log }: Pick<Platform, 'now' | 'log'>,
): { stop(): void; underWay(): boolean } {
  let stopped = false;
  let underWay = false;

  async function pass(): Promise<void> {
    underWay = true;
    try {
      await recover(deadlineIn(pauseMs, now));
    } catch (error) {
      const reason = error instanceof Refusal ? error.reason : 'internal';
      if (!stopped && !saidAlready.has(reason)) log('warn', 'recover_failed', { reason });
    }
    underWay = false;
    if (!stopped) timer = setTimeout(pass, pauseMs).unref();
  }

  let timer = setTimeout(pass, firstMs).unref();
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
    underWay: () => underWay,
  };
}
