import type { OperatorLog } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import { UpstreamError } from '../lib/upstream.ts';

export interface Target {
  readonly kind: string;
  /** The credential's name in the config. */
  readonly name: string;
  readonly log: OperatorLog;
}

/**
 * Does one thing at a target that is called over HTTP. What goes wrong there is told to the operator, and is a Refusal
 * store_failed or store_timeout without a word of the target's for whoever asked.
 */
export async function atTarget<T>({ kind, name, log }: Target, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof UpstreamError) {
      const slow = error.fault === 'slow';
      const { step, status, code, retryAfter } = error.facts;
      const reason = slow ? 'slow' : (error.facts.reason ?? error.fault);
      log('warn', 'target_failed', { credential: name, kind, step, reason, status, code });
      const facts = { kind, reason };
      throw new Refusal(slow ? 'store_timeout' : 'store_failed', reason, { facts, ...(retryAfter && { retryAfter }) });
    }
    // It is us whom the ledger denies a login, not whoever asked.
    if (error instanceof Refusal && error.code === 'denied')
      throw new Refusal('store_failed', error.reason, { facts: { kind, step: 'assertion' }, cause: error });
    throw error;
  }
}
