import { Refusal } from '../lib/refusal.ts';

/** The ledger cannot be asked, or nobody knows whether records were stored; `reason` is a stable word. */
export const unavailable = (reason: string, cause?: unknown): Refusal =>
  new Refusal('ledger_unavailable', reason, { retryAfter: 1, cause });
