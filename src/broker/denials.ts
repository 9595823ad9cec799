/** How long equal denials are counted instead of recorded, milliseconds. */
const window = 60_000;
const most = 10_000;

interface Counted {
  readonly since: number;
  suppressed: number;
  /** Under way: equal denials share it and its outcome. */
  recording?: Promise<void>;
}

export interface Denials {
  /**
   * Resolves once the denial is recorded by `append`, which is told for how many it stands, or counted with an equal one
   * of the last minute; the latter only while `trusted` (the ledger's last append succeeded). Rejects as `append` does.
   */
  record(key: string, now: number, trusted: boolean, append: (count: number) => Promise<void>): Promise<void>;
}

/** Counts equal denials of one instance; what it holds is bounded, and may be lost with the instance. */
export function countDenials(): Denials {
  const counted = new Map<string, Counted>();

  function put(key: string, entry: Counted): void {
    counted.delete(key);
    if (counted.size >= most) counted.delete(counted.keys().next().value as string);
    counted.set(key, entry);
  }

  return {
    async record(key, now, trusted, append) {
      const before = counted.get(key);
      const isEqual = before?.recording !== undefined || (trusted && isWithin(before, now));
      if (before !== undefined && isEqual) {
        before.suppressed++;
        return before.recording;
      }
      const recording = append((before?.suppressed ?? 0) + 1);
      const entry: Counted = { since: now, suppressed: 0, recording };
      put(key, entry);
      try {
        await recording;
        entry.recording = undefined;
      } catch (error) {
        // What was counted for the next record still is.
        if (before === undefined) counted.delete(key);
        else put(key, before);
        throw error;
      }
    },
  };
}

// A clock that goes back hides nothing.
const isWithin = (entry: Counted | undefined, now: number): boolean =>
  entry !== undefined && now >= entry.since && now - entry.since < window;
