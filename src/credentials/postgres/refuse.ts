import pg from 'pg';
import { Refusal } from '../../lib/refusal.ts';

export const refuse = (reason: string): Refusal =>
  new Refusal(reason === 'slow' ? 'store_timeout' : 'store_failed', reason, { facts: { kind: 'postgres', reason } });

/** Timeouts of the server's own: query_canceled, lock_not_available, idle_in_transaction_session_timeout. */
const slow: ReadonlySet<string> = new Set(['57014', '55P03', '25P03']);

/** What the driver threw, as its SQLSTATE and nothing else of the server's. */
export function fromDriver(error: unknown): Refusal {
  const state = stateOf(error);
  if (state === undefined) return refuse('unreachable');
  return slow.has(state) ? refuse('slow') : refuse(`sqlstate_${state}`);
}

/** The SQLSTATE of what the server said; undefined where the connection itself failed. */
export function stateOf(error: unknown): string | undefined {
  if (!(error instanceof pg.DatabaseError)) return undefined;
  return /^[0-9A-Z]{5}$/.test(error.code ?? '') ? (error.code as string) : 'unknown';
}
