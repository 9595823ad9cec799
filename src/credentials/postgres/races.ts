import { setTimeout as sleep } from 'node:timers/promises';
import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { stateOf } from './refuse.ts';

/** Between two tries, milliseconds. */
const pauseMs = 25;
const mostTries = 10;

/** Ours: something in another database hangs on the account, which only a connection there can look after. */
export const elsewhere = 'HP001';

/** "Tuple concurrently updated" has no code of its own: it is XX000. Then unique_violation, deadlock and serialization. */
const races: ReadonlySet<string | undefined> = new Set(['XX000', '23505', '40P01', '40001', elsewhere]);

/** Does again what another one got in the way of: PostgreSQL lets only one of two change a role's row at a time. */
export async function throughRaces<T>(deadline: Deadline, work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const state = error instanceof Refusal ? error.reason.replace('sqlstate_', '') : stateOf(error);
      if (!races.has(state) || tries === mostTries || deadline.left() <= pauseMs) throw error;
      if (state !== elsewhere) await sleep(pauseMs);
    }
  }
}
