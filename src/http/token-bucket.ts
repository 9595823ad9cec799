/** How often each key may do something, in this instance. */
export interface Buckets {
  /** Takes one for a key: 0, or the milliseconds until there is one. */
  take(key: string): number;
}

/** Keys that are remembered; the one that was longest not seen is forgotten first. */
const mostKeys = 10_000;

/** `most` at once, and one more each `everyMs`. */
export function openBuckets({ most, everyMs }: { most: number; everyMs: number }, now: () => number): Buckets {
  /** When each key's bucket was last full, if it went on like that. */
  const emptied = new Map<string, number>();
  return {
    take(key) {
      const at = now();
      // None can be emptier than empty: what says so was reckoned by a clock that has been set back since.
      const used = Math.min(Math.max(emptied.get(key) ?? at, at), at + most * everyMs);
      const wait = used - at - (most - 1) * everyMs;
      if (wait > 0) {
        emptied.set(key, used);
        return wait;
      }
      emptied.delete(key);
      emptied.set(key, used + everyMs);
      const [oldest] = emptied.keys();
      if (emptied.size > mostKeys && oldest !== undefined) emptied.delete(oldest);
      return 0;
    },
  };
}
