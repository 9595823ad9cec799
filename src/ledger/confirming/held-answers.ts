import { unavailable } from '../unavailable.ts';

/** Runs something later; what it gives stops that. */
export type Timer = (ms: number, work: () => void) => () => void;

export const inTime: Timer = (ms, work) => {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
};

/** Answers that wait until what they are of is confirmed. */
export interface HeldAnswers {
  /** All before this position is confirmed. */
  readonly confirmed: number;
  /** How many requests wait. */
  readonly many: number;
  /** Undefined: confirmed already. Rejects with Refusal ledger_unavailable `unconfirmed` when it takes too long. */
  hold(end: number, many: number): Promise<void> | undefined;
  /** Whether that is more than was confirmed. */
  confirm(end: number): boolean;
  /** Nothing is confirmed until it is again. */
  forget(): void;
  /** Whoever waits is refused. */
  refuse(reason: string): void;
}

interface Held {
  readonly end: number;
  readonly many: number;
  readonly settle: (reason?: string) => void;
}

export function openHeldAnswers(within: number, timer: Timer, late: () => void): HeldAnswers {
  let confirmed = 0;
  let many = 0;
  let waiting = new Set<Held>();

  function settle(done: (one: Held) => boolean, reason?: string): void {
    const all = waiting;
    waiting = new Set();
    for (const one of all)
      if (done(one)) one.settle(reason);
      else waiting.add(one);
  }

  return {
    get confirmed() {
      return confirmed;
    },
    get many() {
      return many;
    },
    hold(end, asks) {
      if (end <= confirmed) return undefined;
      const answered = new Promise<void>((resolve, reject) => {
        const stop = timer(within, () => {
          waiting.delete(held);
          held.settle('unconfirmed');
          late();
        });
        const held: Held = {
          end,
          many: asks,
          settle(reason) {
            stop();
            many -= asks;
            if (reason === undefined) resolve();
            else reject(unavailable(reason));
          },
        };
        many += asks;
        waiting.add(held);
      });
      // Whoever waited may have left: a refusal that nobody takes must not end the process.
      answered.catch(() => {});
      return answered;
    },
    confirm(end) {
      if (end <= confirmed) return false;
      confirmed = end;
      settle((one) => one.end <= end);
      return true;
    },
    forget() {
      confirmed = 0;
    },
    refuse(reason) {
      settle(() => true, reason);
    },
  };
}
