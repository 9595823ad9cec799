import { type Deadline, deadlineIn } from '../lib/deadline.ts';
import { HeadMoved } from './log-store.ts';
import { unavailable } from './queue.ts';

/** A commit, or the opening after a fault, may take this long; milliseconds. */
export const storeTime = 2_000;
/** How often a commit is planned again because another process moved the head. */
const tries = 20;
/** Between tries, milliseconds. */
const backOffMs = { least: 8, most: 512 } as const;

export interface LandingDeps {
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
}

/**
 * Plans and commits on the newest head until no other process has moved it meanwhile. `fault` hears of whatever else goes
 * wrong, which is thrown.
 *
 * @throws Refusal ledger_unavailable `contended`
 */
export async function untilLanded<T>(
  { now, random }: LandingDeps,
  attempt: (deadline: Deadline) => Promise<T>,
  fault: (error: unknown) => void,
): Promise<T> {
  const deadline = deadlineIn(storeTime, now);
  for (let tried = 0; tried < tries; tried++) {
    try {
      return await attempt(deadline);
    } catch (error) {
      if (!(error instanceof HeadMoved)) {
        fault(error);
        throw error;
      }
    }
    await backOff(tried, deadline, random);
  }
  throw unavailable('contended');
}

/** So that many processes that moved the head under each other do not do so again: four times as long each time, with jitter. */
async function backOff(tried: number, deadline: Deadline, random: LandingDeps['random']): Promise<void> {
  const wait = Math.min(backOffMs.least * 4 ** tried, backOffMs.most) * ((random(1)[0] as number) / 256);
  if (wait >= deadline.left()) throw unavailable('contended');
  await new Promise((resolve) => setTimeout(resolve, wait));
}
