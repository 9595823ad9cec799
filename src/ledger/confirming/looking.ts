import { before, type Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import type { Pledge } from '../following.ts';
import { unavailable } from '../unavailable.ts';
import { isFree } from './pledge.ts';

/** What a process sees to that waits for nobody: it answers nothing of a log that another promised to a standby. */
export interface Looking {
  /** @throws Refusal ledger_unavailable where nothing that is appended would be answered, as far as is known */
  admit(): void;
  /** Undefined: answer. Rejects with Refusal ledger_unavailable `confirm_promised` or `replaced`. */
  hold(generation: number, end: number): Promise<void> | undefined;
  /** The same of what was read below a position: nothing more is asked where this process had come as far itself. */
  settled(end: number, deadline: Deadline): Promise<void>;
  look(generation: number): Promise<void>;
  /** What was read or written otherwise: a promise that is over blocks nothing more, and a standby that took over all. */
  heard(pledge: Pledge | undefined): void;
  /** Rejects where nothing is answered. */
  ready(deadline: Deadline): Promise<void>;
}

export interface LookingDeps {
  readonly pledge: () => Promise<Pledge | undefined>;
  readonly head: (deadline: Deadline) => Promise<{ readonly generation: number; readonly end: number }>;
  /** Says whom it was promised to. */
  readonly refused: (pledge: Pledge) => void;
  readonly pause: () => Promise<void>;
}

/** A read that fails in passing must cost nobody an answer. */
const tries = 3;

/** One look for each log: a promise begins with a log of its own, so no process goes on answering beside it. */
export function openLooking({ pledge, head, refused, pause }: LookingDeps): Looking {
  let seen: { readonly generation: number; readonly end: number } | undefined;
  let promised = false;
  /** Why what is appended to this log would be answered to nobody, as far as is known. */
  let blocked: { readonly generation: number; readonly reason: string } | undefined;
  let underWay: { readonly generation: number; readonly done: Promise<void> } | undefined;

  async function once(generation: number): Promise<void> {
    const found = await pledge();
    promised = found !== undefined && !isFree(found);
    if (found !== undefined && promised) {
      refused(found);
      throw unavailable(found.state === 'replaced' ? 'replaced' : 'confirm_promised');
    }
    if (seen === undefined || seen.generation < generation) seen = { generation, end: 0 };
    if (blocked !== undefined && blocked.generation <= generation) blocked = undefined;
  }

  async function tried(generation: number): Promise<void> {
    for (let time = 1; ; time++) {
      try {
        return await once(generation);
      } catch (error) {
        const reason = error instanceof Refusal ? error.reason : undefined;
        if (reason === 'closed') throw error;
        if (promised || time === tries) {
          const newest = Math.max(blocked?.generation ?? 0, generation);
          const why = promised || reason === 'pledge_malformed' ? reason : undefined;
          blocked = { generation: newest, reason: why ?? 'promise_unread' };
          throw error;
        }
      }
      await pause();
    }
  }

  function look(generation: number): Promise<void> {
    if (underWay?.generation === generation) return underWay.done;
    const done = tried(generation).finally(() => {
      if (underWay?.done === done) underWay = undefined;
    });
    // Whoever waits for it hears of it; maybe nobody does.
    done.catch(() => {});
    underWay = { generation, done };
    return done;
  }

  const reached = (end: number): void => {
    if (seen !== undefined && end > seen.end) seen = { ...seen, end };
  };

  return {
    look,
    heard(found) {
      if (found?.state === 'replaced') {
        blocked = { generation: seen?.generation ?? blocked?.generation ?? 0, reason: 'replaced' };
        [promised, seen] = [true, undefined];
      }
      if (!promised || !isFree(found)) return;
      promised = false;
      blocked = undefined;
    },
    admit() {
      if (blocked === undefined) return;
      const { generation, reason } = blocked;
      // Nobody waits for it: who asks next finds what it found.
      look(generation);
      throw unavailable(reason);
    },
    hold(generation, end) {
      if (seen === undefined || seen.generation < generation) return look(generation);
      reached(end);
      return undefined;
    },
    async settled(end, deadline) {
      if (seen !== undefined && end <= seen.end) return;
      const newest = await head(deadline);
      if (seen === undefined || seen.generation < newest.generation)
        await before(
          deadline,
          () => unavailable('timeout'),
          () => look(newest.generation),
        );
      reached(newest.end);
    },
    async ready(deadline) {
      if (seen !== undefined && !promised && blocked === undefined) return;
      await head(deadline)
        .then(({ generation }) => once(generation))
        .catch((error) => {
          // Read once before anything was appended, it may have failed in passing.
          if (promised || blocked !== undefined) throw error instanceof Refusal ? error : unavailable('promise_unread');
        });
    },
  };
}
