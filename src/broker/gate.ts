import { type Book, subjectOf } from '../ledger/erasure/book.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Identity } from '../lib/identity.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import { instant } from '../lib/time.ts';
import type { Decision, Permission, Policy } from '../policy/policy.ts';
import { type Call, causeOf, type IssueCall } from './call.ts';
import { countDenials } from './denials.ts';
import { countFailures } from './failures.ts';

export type Allowed = Decision & { readonly allow: true };
/** With the lockdown epoch it was decided under: that of its record. */
export type Decided = Allowed & { readonly epoch: number };

/** A ledger that denies a denial takes nothing of this broker's: the caller is not told that it was denied. */
function unrecorded(error: unknown): never {
  const denied = error instanceof Refusal && error.code === 'denied';
  throw denied ? new Refusal('ledger_unavailable', error.reason, { cause: error }) : error;
}

/** What is done by these is recorded under any epoch: no append stops who was locked out and not heard of. */
const underAnyEpoch: ReadonlySet<Permission> = new Set<Permission>(['leases:revoke', 'secrets:rotate']);

export const unheard = (): Refusal => new Refusal('ledger_unavailable', 'epoch_unheard', { retryAfter: 1 });

/** Who it is and whether they may; every no is counted or recorded before it is said. */
export interface Gate {
  /** @throws Refusal token_invalid, issuer_unavailable */
  verify(call: Call): Promise<Identity>;
  /** @throws Refusal denied, after the denial is durable; ledger_unavailable when it could not be recorded */
  decide(call: Call, identity: Identity, credential: string): Promise<Decided>;
  /** `known`: an epoch that the caller has heard of; `newest`: who appends asks all the same, as no append says one. */
  permit(call: Call, identity: Identity, permission: Permission, known?: number | 'newest'): Promise<Decided>;
  /** Records a denial (or counts it with its equals) and gives the Refusal to throw. */
  denied(call: Call, identity: Identity, reason: string, credential?: string): Promise<Refusal>;
  /** Failed verifications become at most one `summary` record an issuer and minute; losing one refuses nobody. */
  summarise(deadline: Deadline): Promise<void>;
}

export interface GateDeps {
  readonly verify: (token: string, deadline: Deadline) => Promise<Identity>;
  /** @throws Refusal token_invalid */
  readonly verifyBinding: (props: unknown) => Identity;
  readonly policy: Policy;
  /** Whether the config has this credential: only then may its name go into a record. */
  readonly knows: (credential: string) => boolean;
  readonly book: Book;
  readonly ledgerMs: number;
  readonly now: () => number;
  readonly log: OperatorLog;
  readonly count: (name: string, labels: Readonly<Record<string, string>>) => void;
}

export function openGate(deps: GateDeps): Gate {
  const { book, policy, now } = deps;
  const denials = countDenials();
  const failures = countFailures();

  const denied: Gate['denied'] = async (call, identity, reason, asked) => {
    const credential = asked !== undefined && deps.knows(asked) ? asked : undefined;
    // By the name that was asked for, so that one that does not exist takes no less time to deny.
    const key = JSON.stringify([identity.issuer, identity.iss, identity.subject, asked, reason]);
    deps.count('hallpass_denials_total', { reason });
    await denials.record(key, now(), book.well, async (count) => {
      const subject = subjectOf(identity, identity.disclosed, { address: call.address });
      const facts = { ...causeOf(call), credential, policy: policy.hash, epoch: book.epoch, reason, count };
      await book.append(book.write('denial', facts, subject), call.deadline.within(deps.ledgerMs)).catch(unrecorded);
    });
    const facts = { issuer: identity.issuer, ...(credential === undefined ? {} : { credential }) };
    return new Refusal(reason === 'replayed' ? 'replayed' : 'denied', reason, { facts });
  };

  async function countFailure(refusal: Refusal, call: Call): Promise<void> {
    const issuer = refusal.options.facts?.issuer as string | undefined;
    failures.count(issuer, refusal.reason, now());
    deps.count('hallpass_token_failures_total', { issuer: issuer ?? '', reason: refusal.reason });
    // One wait for all of them: whoever sent the garbage is not kept longer by more issuers.
    await summarise(call.deadline.within(deps.ledgerMs), causeOf(call));
  }

  async function summarise(deadline: Deadline, cause: Partial<ReturnType<typeof causeOf>> = {}): Promise<void> {
    for (const { from, to, ...summary } of failures.take(now())) {
      const entry = book.write('summary', { ...summary, from: instant(from), to: instant(to) });
      const append = () => book.append(entry, deadline);
      // Nothing was decided for it, so under the epoch just learnt it is as good.
      const isStale = (error: unknown) => error instanceof Refusal && error.code === 'stale';
      await append()
        .catch((error) => (isStale(error) ? append() : Promise.reject(error)))
        .catch(() => {
          deps.log('warn', 'summary_lost', { ...cause, issuer: summary.issuer });
        });
    }
  }

  /** Decides under the newest lockdowns that were heard of; whom one stops, once it is asked whether it was lifted. */
  async function underNewest(call: Call, decide: () => Decision) {
    const heard = { epoch: book.epoch, decision: decide() };
    if (heard.decision.allow || heard.decision.reason !== 'lockdown') return heard;
    await book.refresh(call.deadline);
    return { epoch: book.epoch, decision: decide() };
  }

  return {
    denied,
    summarise,
    async verify(call) {
      try {
        if (call.binding !== undefined) return deps.verifyBinding(call.binding.props);
        return await deps.verify(call.token, call.deadline);
      } catch (error) {
        if (error instanceof Refusal && error.code === 'token_invalid') await countFailure(error, call);
        throw error;
      }
    },
    async decide(call, identity, credential) {
      const decided = await underNewest(call, () => policy.decide(identity, credential, book.lockdowns, now()));
      if (!decided.decision.allow) throw await denied(call, identity, decided.decision.reason, credential);
      return { ...decided.decision, epoch: decided.epoch };
    },
    async permit(call, identity, permission, asked) {
      const known = asked === 'newest' ? undefined : asked;
      // What a permission allows may append nothing, and hears of no lockdown by itself; a writer's append says its epoch.
      const asks = permission !== 'ledger:append' || asked === 'newest' || (known ?? 0) > book.epoch;
      const mustHear = underAnyEpoch.has(permission);
      const answered = !asks || (await book.refresh(call.deadline, known, mustHear ? deps.ledgerMs : undefined));
      // What is known to be there and was not heard of may be about this identity.
      if (!answered && (mustHear || (known ?? 0) > book.epoch)) throw unheard();
      const decided = await underNewest(call, () => policy.permits(identity, permission, book.lockdowns, now()));
      if (!decided.decision.allow) throw await denied(call, identity, decided.decision.reason);
      return { ...decided.decision, epoch: decided.epoch };
    },
  };
}

/** What is refused as denied once it was decided is recorded as what the gate itself denies. */
export async function denyAlike(
  gate: Pick<Gate, 'denied'>,
  call: IssueCall,
  identity: Identity,
  error: unknown,
): Promise<never> {
  if (!(error instanceof Refusal && error.code === 'denied')) throw error;
  throw await gate.denied(call, identity, error.reason, call.credential);
}
