import { StoreFault } from '../ledger/log-store.ts';
import { exit, Failure } from './failure.ts';
import { shown } from './terminal.ts';

/** Nothing is said of the ledger itself: it cannot be asked. */
export const isAway = (error: unknown): error is StoreFault =>
  error instanceof StoreFault && (error.reason === 'unreachable' || error.reason === 'timeout');

/** Of a file that cannot be opened; the ledger makes no folder. */
export const missingFolder = 'its folder must be there, and writable for this user';

/** A config's own ledger that could not be opened, made or read; what it is named by stays unsaid, as a login stands in it. */
export function ledgerFailure(error: unknown, kind: string, otherwise: string): Failure {
  if (isAway(error)) {
    const hint =
      kind === 'postgres'
        ? 'is the database up that ledger.url names, and are its host and port right?'
        : 'is it up, and may this machine reach it?';
    return new Failure(exit.unreachable, `the ${kind} ledger cannot be reached (${error.reason})`, hint);
  }
  if (error instanceof StoreFault && error.reason === 'cannot_open')
    return new Failure(exit.negative, `the ${kind} ledger cannot be used (cannot_open)`, missingFolder);
  return new Failure(exit.negative, shown(error instanceof Error ? error.message : otherwise));
}
