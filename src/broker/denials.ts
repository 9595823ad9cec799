/** How long equal denials are counted instead of recorded, milliseconds (DESIGN law 3). */
const window = 60_000;
const most = 10_000;

interface Counted {
  since: number;
  suppressed: number;
}

export interface Denials {
  /**
   * Whether this denial must be recorded now, and for how many it stands; 0 when an equal one was recorded within the
   * minute and `trusted` (the ledger's last append succeeded) lets it be counted instead.
   */
  due(key: string, now: number, trusted: boolean): number;
  /** The denial was recorded: equal ones are counted from now on. */
  recorded(key: string, now: number): void;
}

/** Counts equal denials of one instance; what it holds is bounded, and may be lost with the instance. */
export function countDenials(): Denials {
  const counted = new Map<string, Counted>();
  return {
    due(key, now, trusted) {
      const entry = counted.get(key);
      if (entry === undefined) return 1;
      // A clock that went back would make the minute an hour.
      if (trusted && Math.abs(now - entry.since) < window) {
        entry.suppressed++;
        return 0;
      }
      return entry.suppressed + 1;
    },
    recorded(key, now) {
      counted.delete(key);
      if (counted.size >= most) counted.delete(counted.keys().next().value as string);
      counted.set(key, { since: now, suppressed: 0 });
    },
  };
}
