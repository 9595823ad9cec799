import { before, type Deadline } from '../../lib/deadline.ts';
import type { OperatorLog } from '../../lib/platform.ts';
import { Refusal } from '../../lib/refusal.ts';
import { StoreFault, TooMuch } from '../log-store.ts';
import { unavailable } from '../unavailable.ts';
import type { DurableHead } from './durable-head.ts';
import { DamagedLog } from './head-check.ts';

/** Who may use the store of a log when, and how its faults are told. */
export interface Turns {
  /** One at a time: commits, recoveries and probes. */
  serially<T>(work: () => Promise<T>): Promise<T>;
  /** As an append: refusals stay what they are, all else is the log's own failure. */
  alone<T>(deadline: Deadline, work: () => Promise<T>): Promise<T>;
  /** Reads what is there; after a fault only once the log has recovered. */
  reading<T>(deadline: Deadline, work: () => Promise<T>): Promise<T>;
  /** What a caller is told of a fault; the operator's log has the rest. */
  refusalFor(error: unknown): Refusal;
}

export function openTurns({ head, log }: { readonly head: DurableHead; readonly log: OperatorLog }): Turns {
  let turn: Promise<unknown> = Promise.resolve();

  function serially<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(work);
    turn = mine.catch(() => {});
    return mine;
  }

  function refusalFor(error: unknown): Refusal {
    if (error instanceof Refusal) return error;
    if (error instanceof TooMuch) return new Refusal('too_large', 'entries_too_many');
    const reason = error instanceof StoreFault ? error.reason : error instanceof DamagedLog ? 'damaged' : 'internal';
    const words = error instanceof DamagedLog || reason === 'internal' ? String(error) : undefined;
    log('error', 'ledger_failed', { reason, ...(words !== undefined && { error: words }) });
    return unavailable(reason, error);
  }

  return {
    serially,
    refusalFor,
    alone: (deadline, work) =>
      before(
        deadline,
        () => unavailable('timeout'),
        () =>
          serially(work).catch((error) => {
            throw refusalFor(error);
          }),
      ),
    async reading(deadline, work) {
      try {
        return await before(
          deadline,
          () => unavailable('timeout'),
          async () => {
            if (head.suspect) await serially(async () => head.suspect && (await head.recover()));
            return await work();
          },
        );
      } catch (error) {
        if (error instanceof StoreFault) head.doubt();
        throw refusalFor(error);
      }
    },
  };
}
