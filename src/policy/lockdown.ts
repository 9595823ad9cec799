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

/** What a lockdown's match is held against; undefined: not known. */
export interface About {
  readonly issuer: string | undefined;
  /** `identity.name` */
  readonly name: string | undefined;
  readonly grant: string | undefined;
  readonly roles: readonly string[] | undefined;
  readonly credential: string | undefined;
  readonly stores: readonly string[] | undefined;
}

/**
 * Whether a lockdown in force matches. One that names no issuer, identity, grant or role (everything, a credential, a
 * store) stops issuing and no permission: the log must still take undoings, and somebody must be able to lift it.
 */
export function isLocked(lockdowns: readonly Lockdown[], scope: Scope, now: number): boolean {
  return lockdowns.some((lockdown) => isInForce(lockdown, now) && matches(lockdown.match, scope));
}

/** Until its end, where it has one; an end that nobody can read never comes. */
export function isInForce({ until }: Pick<Lockdown, 'until'>, now: number): boolean {
  const end = until === undefined ? undefined : parseInstant(until);
  return end === undefined || now < end;
}

function matches(match: Lockdown['match'], { identity, credential, ...rest }: Scope): boolean {
  const { issuer, grant, role } = match;
  const namesWho = [issuer, match.identity, grant, role].some((member) => member !== undefined);
  if (credential === undefined && !namesWho) return false;
  const { name } = identity;
  return fits(match, { ...rest, issuer: identity.issuer, name, credential: credential ?? '' }) === true;
}

/** Whether all that a match names is so; undefined: what it depends on is not known. */
export function fits(match: Lockdown['match'], about: About): boolean | undefined {
  const { issuer, identity, grant, role, credential, store } = match;
  const members = [
    issuer === undefined || isSo(about.issuer, (known) => known === issuer),
    identity === undefined || isSo(about.name, (known) => matchesSegments(identity, known)),
    grant === undefined || isSo(about.grant, (known) => known === grant),
    role === undefined || isSo(about.roles, (known) => known.includes(role)),
    credential === undefined || isSo(about.credential, (known) => known === credential),
    store === undefined || isSo(about.stores, (known) => known.includes(store)),
  ];
  if (members.includes(false)) return false;
  return members.includes(undefined) ? undefined : true;
}

const isSo = <T>(known: T | undefined, holds: (known: T) => boolean): boolean | undefined =>
  known === undefined ? undefined : holds(known);
