import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import { HeadMoved, type LogStore } from '../log-store.ts';
import { unavailable } from '../unavailable.ts';

/** A commit, or the opening after a fault, may take this long; milliseconds. */
export const storeTime = 2_000;
/** How often a commit is planned again because another process moved the head. */
const tries = 20;
/** Between tries, milliseconds: four times as long each time, where the store does not know better. */
const backOffMs = { least: 8, most: 512 } as const;

export interface LandingDeps {
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  readonly store: Pick<LogStore, 'spread'>;
}

/**
 * Plans and commits on the newest head until no other process has moved it meanwhile. `fault` hears of whatever else goes
 * wrong, which is thrown.
 *
 * @throws Refusal ledger_unavailable `contended`
 */
export async function untilLanded<T>(
  { now, random, store }: LandingDeps,
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
    await backOff(store.spread?.() ?? Math.min(backOffMs.least * 4 ** tried, backOffMs.most), deadline, random);
  }
  throw unavailable('contended');
}

/** So that many processes that moved the head under each other do not do so again: somewhen within `spread`; or not at all where that is too late. */
async function backOff(spread: number, deadline: Deadline, random: LandingDeps['random']): Promise<void> {
  const [high = 0, low = 0] = random(2);
  const wait = spread * ((high * 256 + low) / 65_536);
  if (wait >= deadline.left()) throw unavailable('contended');
  await new Promise((resolve) => setTimeout(resolve, wait));
}
