import type { ConfiguredCredential } from '../credentials/kind.ts';
import { type Book, subjectOf } from '../ledger/book.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Identity } from '../lib/identity.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import type { LeaseStory } from './story.ts';

/** One lease to be ended, by somebody who may: that was looked into before. */
export interface RevokeCall {
  readonly lease: LeaseStory;
  /** `requested` by who holds it, `ordered` by somebody else who may. */
  readonly why: 'requested' | 'ordered';
  /** Absent where only the handle was shown. */
  readonly identity?: Identity;
  /** From the handle. */
  readonly kept?: string | undefined;
  readonly request: string;
  readonly trace?: string | undefined;
  readonly address?: string | undefined;
  readonly deadline: Deadline;
}

export interface LeaseRevoker {
  /**
   * Records the revocation, then ends the account at the target; idempotent. What cannot be revoked gets its record
   * and lives on.
   */
  revoke(call: RevokeCall): Promise<'done' | 'recorded'>;
}

export interface RevokerDeps {
  readonly book: Book;
  readonly credentials: ReadonlyMap<string, ConfiguredCredential>;
  readonly policy: { readonly hash: string };
  readonly limits: { readonly ledgerMs: number; readonly mintMs: number };
  readonly log: OperatorLog;
}

export function openRevoker(deps: RevokerDeps): LeaseRevoker {
  const { book, limits } = deps;
  return {
    async revoke(call) {
      if (call.lease.ended === undefined) await recordRevocation(call);
      return endAtTarget(call);
    },
  };

  async function recordRevocation({ lease, why, identity, request, trace, address, deadline }: RevokeCall) {
    const { id: issuance, credential, kind } = lease.issuance;
    const decided = { policy: deps.policy.hash, epoch: book.epoch };
    const facts = { request, trace, issuance, credential, kind, ...decided, reason: why };
    const subject = identity && subjectOf(identity, identity.disclosed, { address });
    await book.append(book.write('revocation', facts, subject), deadline.within(limits.ledgerMs));
  }

  async function endAtTarget({
    lease: { issuance },
    kept,
    request,
    deadline,
  }: RevokeCall): Promise<'done' | 'recorded'> {
    const { id, credential: name, lease } = issuance;
    const account = lease?.account;
    const held = { issuance: id, ...(account && { account }), ...(kept !== undefined && { kept }) };
    try {
      const credential = await deps.credentials.get(name ?? '')?.open();
      const until = deadline.within(limits.mintMs);
      if (credential?.made === 'target' && lease?.revocable === true) await credential.undo(held, until);
      else if (lease?.revocable === true) throw new Refusal('store_failed', 'credential_gone');
      else if (credential?.made === 'read' && kept !== undefined) await credential.end?.(held, until);
      return 'done';
    } catch (error) {
      const reason = error instanceof Refusal ? error.reason : 'internal';
      deps.log('error', 'revoke_unfinished', { request, issuance: id, credential: name, reason });
      return 'recorded';
    }
  }
}
