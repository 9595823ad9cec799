import type { ConfiguredCredential } from '../credentials/kind.ts';
import type { Handles } from '../leases/handle.ts';
import type { LeaseRevoker } from '../leases/revoke.ts';
import { isOwn, type LeaseStory, readStory } from '../leases/story.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Identity } from '../lib/identity.ts';
import { Refusal } from '../lib/refusal.ts';
import { instant } from '../lib/time.ts';
import type { Policy } from '../policy/policy.ts';
import type { Call } from './call.ts';
import { type Gate, type GateDeps, unheard } from './gate.ts';
import { openRenewal, type RenewAnswer, type RenewCall } from './renew.ts';

export type { RenewAnswer } from './renew.ts';

/** A call about one lease: by the token of who got it or may revoke, or by its handle. */
export interface LeaseCall extends Omit<Call, 'token'> {
  /** Absent where it is the handle's own. */
  readonly id?: string;
  readonly token?: string;
  readonly handle?: string;
}

/** The 200 of GET /v1/leases/{id}. */
export interface LeaseView {
  readonly id: string;
  readonly credential: string;
  readonly kind: string;
  readonly lease: {
    readonly expiresAt: string;
    readonly state: 'active' | 'expired' | 'revoked' | 'unrevoked';
    readonly revocable: boolean;
    readonly account?: string | undefined;
    readonly reason?: string | undefined;
  };
}

/** What may be done with a lease. Another identity's lease is `not_found`, like one that never was. */
export interface LeaseCalls {
  showLease(call: LeaseCall): Promise<LeaseView>;
  /** The same identity proves itself again, policy decides again. @throws Refusal invalid_request where nothing can be added */
  renewLease(call: RenewCall): Promise<RenewAnswer>;
  /** `done`: gone at the target (or nothing to do there); `recorded`: not yet done at the target. */
  revoke(call: LeaseCall): Promise<'done' | 'recorded'>;
}

export interface LeaseCallDeps extends Pick<GateDeps, 'book' | 'now' | 'count'> {
  readonly gate: Gate;
  readonly policy: Policy;
  readonly ledger: Pick<Ledger, 'issuance'>;
  readonly credentials: ReadonlyMap<string, ConfiguredCredential>;
  readonly revoker: LeaseRevoker;
  readonly handles: (deadline: Deadline) => Promise<Handles>;
  readonly limits: { readonly ledgerMs: number; readonly mintMs: number; readonly undoMs: number };
}

/** A lease, and by what the caller may deal with it. */
interface Shown {
  readonly lease: LeaseStory;
  readonly why: 'requested' | 'ordered';
  readonly identity?: Identity;
  readonly kept?: string | undefined;
}

export function openLeaseCalls(deps: LeaseCallDeps): LeaseCalls {
  const { gate, ledger, limits, policy, book, now } = deps;
  const renew = openRenewal(deps);

  const storyOf = async (id: string, { deadline }: Pick<LeaseCall, 'deadline'>) =>
    readStory(id, await ledger.issuance(id, deadline.within(limits.ledgerMs)));

  async function shownBy(call: LeaseCall): Promise<Shown> {
    if (call.handle !== undefined) return byHandle(call, call.handle);
    const identity = await gate.verify({ ...call, token: call.token ?? '' });
    const lease = call.id === undefined ? undefined : await storyOf(call.id, call);
    if (lease !== undefined && isOwn(lease, identity)) return { lease, identity, why: 'requested' };
    if (!(await book.refresh(call.deadline, 0, limits.ledgerMs))) throw unheard();
    // Not a denial: whoever may not is told what everybody is told of a lease that never was.
    const may = policy.permits(identity, 'leases:revoke', book.lockdowns, now()).allow;
    if (lease === undefined || !may) throw notFound('lease_not_found');
    return { lease, identity, why: 'ordered' };
  }

  async function byHandle(call: Pick<LeaseCall, 'id' | 'deadline'>, handle: string): Promise<Shown> {
    const opened = (await deps.handles(call.deadline.within(limits.ledgerMs))).open(handle);
    const isItsOwn = opened !== undefined && (call.id === undefined || call.id === opened.id);
    const lease = isItsOwn ? await storyOf(opened.id, call) : undefined;
    if (opened === undefined || lease === undefined) {
      const reason = opened === undefined ? 'unopened' : 'other_lease';
      deps.count('hallpass_handles_refused_total', { reason });
      throw notFound('handle');
    }
    return { lease, why: 'requested', kept: opened.kept };
  }

  return {
    async showLease(call) {
      const { lease, identity } = await shownBy(call);
      const view = viewOf(lease, now());
      // A handle is worth what its lease is: it ends with it.
      if (identity === undefined && view.lease.state !== 'active') {
        deps.count('hallpass_handles_refused_total', { reason: 'over' });
        throw notFound('handle_over');
      }
      return view;
    },
    async renewLease(call) {
      const identity = await gate.verify(call);
      const shown = call.handle === undefined ? undefined : await byHandle(call, call.handle);
      const lease = shown?.lease ?? (await storyOf(call.id, call));
      if (lease === undefined || !isOwn(lease, identity)) throw notFound('lease_not_found');
      return renew(call, identity, lease, shown?.kept);
    },
    async revoke(call) {
      const { request, trace, address, deadline } = call;
      return deps.revoker.revoke({ ...(await shownBy(call)), request, trace, address, deadline });
    },
  };
}

const notFound = (reason: string): Refusal => new Refusal('not_found', reason);

function viewOf({ issuance, expiresAt, ended, done, failed }: LeaseStory, now: number): LeaseView {
  const { id, credential = '', kind = '', lease } = issuance;
  const revocable = lease?.revocable === true;
  // What cannot be ended from its record alone is owed only where somebody with its handle tried in vain.
  const owed = !done && (revocable || failed);
  const state = ended === undefined ? (now < expiresAt ? 'active' : 'expired') : owed ? 'unrevoked' : 'revoked';
  return {
    id,
    credential,
    kind,
    lease: { expiresAt: instant(expiresAt), state, revocable, account: lease?.account, reason: ended },
  };
}
