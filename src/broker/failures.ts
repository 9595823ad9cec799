/** How long failed verifications are counted before they become one `summary` record an issuer, milliseconds. */
const window = 60_000;

export interface Summary {
  /** Absent where the token named no configured issuer. */
  readonly issuer?: string;
  readonly from: number;
  readonly to: number;
  readonly counts: Readonly<Record<string, number>>;
}

export interface Failures {
  count(issuer: string | undefined, reason: string, now: number): void;
  /** What is due for a record; what is taken is counted no more. */
  take(now: number): Summary[];
}

/**
 * Counts tokens that did not verify. Nobody fills the ledger for free: an issuer gets at most one record a minute,
 * whatever is thrown at it. Reasons are our own words and issuers the config's names, so the tables stay small.
 */
export function countFailures(): Failures {
  const open = new Map<string | undefined, { from: number; counts: Record<string, number> }>();
  return {
    count(issuer, reason, now) {
      const entry = open.get(issuer) ?? { from: now, counts: {} };
      entry.counts[reason] = (entry.counts[reason] ?? 0) + 1;
      open.set(issuer, entry);
    },
    take(now) {
      const due: Summary[] = [];
      for (const [issuer, { from, counts }] of open) {
        if (now - from < window) continue;
        due.push({ issuer, from, to: now, counts });
        open.delete(issuer);
      }
      return due;
    },
  };
}
