/** Milliseconds: the first wait, the longest in the first hours, and the longest after them. */
const first = 5_000;
const soonest = 30_000;
const latest = 300_000;
const patience = 4 * 3_600_000;

const mostKept = 10_000;

export interface Attempt {
  readonly tries: number;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly at: number;
  /** Not before this. */
  readonly next: number;
  /** Why it failed last, a stable word. */
  readonly reason: string;
}

/** What failed in this process, and when it is worth another try. */
export interface BackOff {
  get(issuance: string): Attempt | undefined;
  isDue(issuance: string, now: number): boolean;
  failed(issuance: string, reason: string, now: number): void;
  forget(issuance: string): void;
}

/** @param random a number in [0, 1): half of each wait is left to chance, so that many do not come back at once */
export function openBackOff(random: () => number): BackOff {
  const attempts = new Map<string, Attempt>();
  return {
    get: (issuance) => attempts.get(issuance),
    isDue(issuance, now) {
      const attempt = attempts.get(issuance);
      // One of the future was reckoned by a clock that has been set back.
      return attempt === undefined || attempt.next <= now || now < attempt.at;
    },
    failed(issuance, reason, now) {
      const { tries = 0, since = now } = attempts.get(issuance) ?? {};
      const most = now - since < patience ? soonest : latest;
      const wait = Math.min(most, first * 2 ** Math.min(tries, 16)) * (1 - random() / 2);
      attempts.delete(issuance);
      const [oldest] = attempts.keys();
      if (attempts.size >= mostKept && oldest !== undefined) attempts.delete(oldest);
      attempts.set(issuance, { tries: tries + 1, since, at: now, next: now + wait, reason });
    },
    forget(issuance) {
      attempts.delete(issuance);
    },
  };
}
