import { exit, Failure } from '../failure.ts';
import { ProblemFailure } from '../server.ts';

/** As `lockdown list` shows it, for examples. */
export const anId = '01kacv0q2r7xw3m5t9e1h4b6ns';

export const whichIds = '`hallpass lockdown list` shows the ids of those in force';

export const pathOf = (id: string): string => `/v1/lockdowns/${encodeURIComponent(id)}`;

/** Where no answer came, or the ledger's did not, what helps then, behind what is said of that. */
export function withHint(error: unknown, hint: string): unknown {
  if (!(error instanceof Failure) || error.code !== exit.unreachable) return error;
  if (error.hint === hint || (error.hint === undefined && !(error instanceof ProblemFailure))) return error;
  return new Failure(error.code, error.message, [error.hint, hint].filter((one) => one !== undefined).join('; '));
}
