import type { Book } from '../ledger/erasure/book.ts';
import type { Identity } from '../lib/identity.ts';
import type { Lockdown } from '../lib/lockdown.ts';
import { Refusal } from '../lib/refusal.ts';
import type { Policy } from '../policy/policy.ts';
import { type KnownNames, type Unknown, unknownNames } from './lockdown-names.ts';

/** What a lockdown is weighed against. */
interface Here {
  readonly book: Pick<Book, 'lockdowns'>;
  readonly policy: Pick<Policy, 'permits'>;
  readonly names: KnownNames;
  readonly now: number;
}

/** The warnings to answer it with. @throws Refusal invalid_request for what is more likely a mistake than meant */
export function doubts(
  { match, force = false }: { readonly match: Lockdown['match']; readonly force?: boolean },
  identity: Identity,
  { book, policy, names, now }: Here,
): readonly string[] {
  const unknown = unknownNames(match, names);
  const own = [...book.lockdowns, { id: '', epoch: 0, match }];
  const locksOut = !policy.permits(identity, 'lockdown:write', own, now).allow;
  if (force) return [...unknown.map(saysUnknown), ...(locksOut ? [lockedOut] : [])];
  const [first] = unknown;
  if (first !== undefined) {
    const meant = first.suggestion === undefined ? '' : `Did you mean ${first.suggestion}? `;
    throw doubtful('unknown_name', saysUnknown(first), `${meant}${forceHint}`);
  }
  if (locksOut) throw doubtful('locks_out_its_maker', lockedOut, forceHint);
  return [];
}

export const doubtful = (reason: string, detail: string, hint?: string): Refusal =>
  new Refusal('invalid_request', reason, { detail, ...(hint !== undefined && { hint }) });

const forceHint = 'With `force`, in the command --force, it is done all the same.';
const lockedOut = 'This lockdown stops you from lifting it: another identity with lockdown: write has to.';

const saysUnknown = ({ member }: Unknown): string =>
  member === 'identity'
    ? 'The identity begins with the name of no issuer of this config.'
    : `This config has no ${member} of that name.`;
