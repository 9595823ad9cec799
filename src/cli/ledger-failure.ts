import { StoreFault } from '../ledger/log-store.ts';
import { exit, Failure } from './failure.ts';
import { shown } from './terminal.ts';

/** Nothing is said of the ledger itself: it cannot be asked. */
export const isAway = (error: unknown): error is StoreFault =>
  error instanceof StoreFault && (error.reason === 'unreachable' || error.reason === 'timeout');

/** A config's own ledger that could not be opened, made or read; what it is named by stays unsaid, as a login stands in it. */
export function ledgerFailure(error: unknown, kind: string, otherwise: string): Failure {
  if (isAway(error)) {
    const hint =
      kind === 'postgres'
        ? 'is the database up that ledger.url names, and are its host and port right?'
        : 'is it up, and may this machine reach it?';
    return new Failure(exit.unreachable, `the ${kind} ledger cannot be reached (${error.reason})`, hint);
  }
  return new Failure(exit.negative, shown(error instanceof Error ? error.message : otherwise));
}
