/** Until when a piece of work may go on, in milliseconds of the platform's clock. */
export interface Deadline {
  readonly at: number;
  /** Milliseconds left, never negative. */
  left(): number;
  /** The lesser of this deadline less `reserve` and `ms` from now. */
  within(ms: number, reserve?: number): Deadline;
}

export function deadlineAt(at: number, now: () => number): Deadline {
  return {
    at,
    left: () => Math.max(0, at - now()),
    within: (ms, reserve = 0) => deadlineAt(Math.min(at - reserve, now() + ms), now),
  };
}

export const deadlineIn = (ms: number, now: () => number): Deadline => deadlineAt(now() + ms, now);

/**
 * Settles as `work` does, or rejects with `onTime()` once the deadline has passed. The work is told by `signal`; work
 * that does not listen goes on alone, and its late result is dropped.
 */
export async function before<T>(
  deadline: Deadline,
  onTime: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const left = deadline.left();
  if (left <= 0) throw onTime();
  // Making one costs more than the wait itself, so only for work that takes it.
  const controller = work.length > 0 ? new AbortController() : undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(onTime());
      controller?.abort();
    }, left);
  });
  try {
    return await Promise.race([work(controller?.signal as AbortSignal), late]);
  } finally {
    clearTimeout(timer);
  }
}
