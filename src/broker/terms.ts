import type { IssueCall, IssueOptions } from '../broker.ts';
import type { Identity } from '../lib/identity.ts';
import { Refusal } from '../lib/refusal.ts';
import { instant, parseInstant } from '../lib/time.ts';
import type { Terms } from '../policy/policy.ts';

/** How long an invocation's deadline is outlived, milliseconds. */
const invocationGrace = 5_000;

export interface LeaseTerms {
  /** Seconds. */
  readonly ttl: number;
  /** Milliseconds since the epoch, a whole second. */
  readonly expiresAt: number;
  /** The same as RFC 3339. */
  readonly expires: string;
}

/**
 * The life of a lease: the least of what was asked, the grant, the kind, the token's own life where the grant says so,
 * and the invocation's deadline.
 *
 * @throws Refusal invalid_request for an invocation that is over, token_invalid for a token with no life left to lend
 */
export function leaseTerms(
  terms: Terms,
  kindMax: number | undefined,
  identity: Identity,
  options: IssueOptions,
  now: number,
): LeaseTerms {
  const most = terms.maxTtl ?? terms.ttl ?? 0;
  const life = Math.min(
    options.ttl === undefined ? (terms.ttl ?? most) : Math.min(options.ttl, most),
    kindMax ?? Number.POSITIVE_INFINITY,
    terms.tokenLife && identity.expiresAt !== undefined
      ? secondsUntil(identity.expiresAt, now)
      : Number.POSITIVE_INFINITY,
    secondsUntil(invocationEnd(options), now),
  );
  if (life < 1) throw lifeless(options, now);
  const expiresAt = (Math.floor(now / 1000) + life) * 1000;
  return { ttl: life, expiresAt, expires: instant(expiresAt) };
}

/** The lease of what its target itself ends sooner. @throws Refusal store_failed where it is over already */
export function endedBy(lease: LeaseTerms, end: number | undefined): LeaseTerms {
  if (end === undefined || end >= lease.expiresAt) return lease;
  const expiresAt = Math.floor(end / 1000) * 1000;
  const ttl = lease.ttl - (lease.expiresAt - expiresAt) / 1000;
  if (ttl < 1) throw new Refusal('store_failed', 'over_already');
  return { ttl, expiresAt, expires: instant(expiresAt) };
}

function invocationEnd(options: IssueOptions): number {
  const deadline = options.invocation?.deadline;
  const end = deadline === undefined ? undefined : parseInstant(deadline);
  return end === undefined ? Number.POSITIVE_INFINITY : end + invocationGrace;
}

/** Nobody waits for an answer after the invocation is over: the call ends with it, and the grace of differing clocks. */
export function untilInvocationEnds(call: IssueCall, options: IssueOptions, now: number): IssueCall {
  const end = invocationEnd(options);
  return end < call.deadline.at ? { ...call, deadline: call.deadline.within(end - now) } : call;
}

const secondsUntil = (end: number, now: number): number => Math.floor(end / 1000) - Math.floor(now / 1000);

function lifeless(options: IssueOptions, now: number): Refusal {
  if (secondsUntil(invocationEnd(options), now) < 1)
    return new Refusal('invalid_request', 'invocation_over', { detail: 'invocation.deadline has passed' });
  return new Refusal('token_invalid', 'expired');
}
