import { keepMs } from './kept-confirmation.ts';
import { longestPollMs } from './pledge.ts';

/** When a standby was heard of last, by this process or by another of its first; all by this process's own clock. */
export interface Contact {
  heard(): void;
  /** Another process keeps when it heard of it, by a clock of its own; `readAt`: when this one began to read that. */
  kept(at: number, readAt: number): void;
  /** It may have taken over by now, for all that is known. */
  away(): boolean;
  /** It was heard of since the last look, and nobody knows how long ago: one more look may tell. */
  readonly unsure: boolean;
}

/** So much later than it should have, a standby may be heard of; milliseconds. */
const lateMs = 500;
/** Looks that are no further apart tell when what changed between them was kept; milliseconds. */
const closeMs = 2_500;
/** What is kept of one that is asked all the time changes within this time; milliseconds. */
const changeMs = longestPollMs + keepMs.same + 100;

/** `within`: how long an answer may wait for it, milliseconds. */
export function openContact(within: number, now: () => number): Contact {
  let last = Number.NEGATIVE_INFINITY;
  let seen: { readonly at: number; readonly readAt: number } | undefined;
  let unsureFrom: number | undefined;

  return {
    heard() {
      last = now();
    },
    kept(at, readAt) {
      const was = seen;
      const isNews = at !== was?.at;
      seen = { at, readAt };
      if (was !== undefined && readAt >= was.readAt && readAt - was.readAt < closeMs) {
        if (isNews) last = Math.max(last, was.readAt);
        return;
      }
      // Of a clock that is ahead it says nothing: it would be near for as long.
      const isAhead = at > readAt + lateMs;
      if (!isAhead) last = Math.max(last, Math.min(at, readAt));
      unsureFrom = isAhead || (was !== undefined && isNews) ? readAt : undefined;
    },
    away() {
      // A clock that was set back would make it near for as long.
      last = Math.min(last, now());
      return now() - last > within + longestPollMs + keepMs.same + lateMs;
    },
    get unsure() {
      const gone = unsureFrom === undefined ? -1 : now() - unsureFrom;
      return gone >= 0 && gone < changeMs;
    },
  };
}
