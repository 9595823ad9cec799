import { claimAt } from '../lib/claims.ts';
import type { Identity } from '../lib/identity.ts';
import { matchesSegments } from '../lib/segments.ts';

export type Scalar = string | number | boolean;

/** Where a condition looks: a member of the preset, the subject, or a claim of a generic issuer's token. */
export interface Source {
  readonly from: 'member' | 'subject' | 'claim';
  /** The member's name or the claim's path. */
  readonly key: string;
}

/** One line of a grant's `identity`. */
export interface Condition extends Source {
  /** As `explain` names it. */
  readonly label: string;
  readonly value: Scalar;
  /** `value` has `*` segments. */
  readonly pattern: boolean;
}

export function readSource(identity: Identity, source: Source): unknown {
  if (source.from === 'member') {
    return Object.hasOwn(identity.members, source.key) ? identity.members[source.key] : undefined;
  }
  return source.from === 'subject' ? identity.subject : claimAt(identity.claims, source.key);
}

/** Compares without coercion and without Unicode normalisation: "1" is not 1, "true" is not true. */
export function holds(condition: Condition, identity: Identity): boolean {
  const value = readSource(identity, condition);
  if (!condition.pattern) return value === condition.value;
  return typeof value === 'string' && matchesSegments(condition.value as string, value);
}
