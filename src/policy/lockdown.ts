import type { Identity } from '../lib/identity.ts';
import type { Lockdown } from '../lib/lockdown.ts';
import { matchesSegments } from '../lib/segments.ts';
import { parseInstant } from '../lib/time.ts';

/** What a decision is about, as far as a lockdown can name it. */
export interface Scope {
  readonly identity: Identity;
  readonly grant: string;
  /** Every role by which the grant gives it. */
  readonly roles: readonly string[];
  /** Absent for a permission. */
  readonly credential?: string;
  /** The stores behind the credential. */
  readonly stores: readonly string[];
}

/**
 * Whether a lockdown in force matches. One that names no issuer, identity, grant or role (everything, a credential, a
 * store) stops issuing and no permission: the log must still take undoings, and somebody must be able to lift it.
 */
export function isLocked(lockdowns: readonly Lockdown[], scope: Scope, now: number): boolean {
  return lockdowns.some((lockdown) => isInForce(lockdown, now) && matches(lockdown.match, scope));
}

function isInForce({ until }: Lockdown, now: number): boolean {
  const end = until === undefined ? undefined : parseInstant(until);
  return end === undefined || now < end;
}

function matches(match: Lockdown['match'], scope: Scope): boolean {
  const { issuer, identity, grant, role, credential, store } = match;
  if (issuer !== undefined && issuer !== scope.identity.issuer) return false;
  if (identity !== undefined && !matchesSegments(identity, scope.identity.name)) return false;
  if (grant !== undefined && grant !== scope.grant) return false;
  if (role !== undefined && !scope.roles.includes(role)) return false;
  if (credential !== undefined && credential !== scope.credential) return false;
  if (store !== undefined && !scope.stores.includes(store)) return false;
  return scope.credential !== undefined || [issuer, identity, grant, role].some((member) => member !== undefined);
}
