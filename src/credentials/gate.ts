import { before, type Deadline } from '../lib/deadline.ts';

export type Gate = <T>(deadline: Deadline, onTime: () => Error, work: () => Promise<T>) => Promise<T>;

/** Lets `most` pieces of work go on at a time; the others wait in order, each no longer than its deadline. */
export function openGate(most: number): Gate {
  const waiting = new Set<() => void>();
  let inside = 0;

  const enter = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      if (inside++ < most) return resolve();
      waiting.add(resolve);
      signal.addEventListener('abort', () => {
        if (waiting.delete(resolve)) inside--;
      });
    });

  const leave = () => {
    inside--;
    const [next] = waiting;
    if (next === undefined) return;
    waiting.delete(next);
    next();
  };

  return async (deadline, onTime, work) => {
    await before(deadline, onTime, enter);
    try {
      return await work();
    } finally {
      leave();
    }
  };
}
