import type { Timer } from './held-answers.ts';

/** Who waits for something new, and whoever has something. */
export interface Wakes {
  wake(): void;
  /** Resolves when something is new, or after `ms`. */
  next(ms: number): Promise<void>;
}

export function openWakes(timer: Timer): Wakes {
  const waiting = new Set<() => void>();
  return {
    wake() {
      for (const one of [...waiting]) one();
    },
    next: (ms) =>
      new Promise<void>((resolve) => {
        const stop = timer(ms, done);
        function done() {
          stop();
          waiting.delete(done);
          resolve();
        }
        waiting.add(done);
      }),
  };
}
