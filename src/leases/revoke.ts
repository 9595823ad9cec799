import { subjectOf } from '../ledger/erasure/book.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Identity } from '../lib/identity.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { aboutOf, type EndingDeps, isOthers, openEnder, reasonOf } from './ending.ts';
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
   * Records the revocation, ends the account at the target, and records that it is gone or that it is not; idempotent.
   * What cannot be revoked gets its first record and lives on. What is `recorded` and not done, the sweeper ends.
   */
  revoke(call: RevokeCall): Promise<'done' | 'recorded'>;
}

export interface RevokerDeps extends EndingDeps {
  readonly log: OperatorLog;
}

export function openRevoker(deps: RevokerDeps): LeaseRevoker {
  const { limits, log, now } = deps;
  const ender = openEnder(deps);

  /** What the sweeper would write as well, if this cannot be. */
  async function tell(reason: 'done' | 'unrevoked', { lease, request, trace, deadline }: RevokeCall): Promise<void> {
    const facts = { request, trace };
    await ender.record('revocation', reason, aboutOf(lease.issuance), deadline, { facts }).catch((error) => {
      if (isOthers(error)) return;
      log('warn', 'revocation_unrecorded', { request, issuance: lease.issuance.id, reason: reasonOf(error) });
    });
  }

  return {
    async revoke(call) {
      const { lease, why, identity, kept, request, trace, address, deadline } = call;
      const { issuance: record } = lease;
      if (lease.done) return 'done';
      if (lease.ended === undefined) {
        const subject = identity && subjectOf(identity, identity.disclosed, { address });
        await ender.record('revocation', why, aboutOf(record), deadline, { facts: { request, trace }, subject });
      }
      try {
        const ending = { record, kept, expired: now() >= lease.expiresAt };
        if ((await ender.end(ending, deadline.within(limits.mintMs, limits.ledgerMs))) === 'gone')
          await tell('done', call);
        return 'done';
      } catch (error) {
        const { id: issuance, credential } = record;
        log('error', 'revoke_unfinished', { request, issuance, credential, reason: reasonOf(error) });
        await tell('unrevoked', call);
        return 'recorded';
      }
    },
  };
}
