import type { ConfiguredCredential } from '../credentials/kind.ts';
import { type Book, subjectOf } from '../ledger/book.ts';
import { openDisclosure } from '../ledger/disclosure.ts';
import type { Entry, Ledger } from '../ledger/ledger.ts';
import { type LedgerRecord, parseRecord } from '../ledger/record.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Identity } from '../lib/identity.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';

export interface RevokeCall {
  readonly id: string;
  readonly identity: Identity;
  readonly request: string;
  readonly trace?: string;
  readonly address?: string;
  readonly deadline: Deadline;
}

export interface LeaseRevoker {
  /**
   * Records the revocation, then ends the account at the target; idempotent. What cannot be revoked gets its record
   * and lives on. @throws Refusal not_found for an unknown id and for another identity's alike
   */
  revoke(call: RevokeCall): Promise<'done' | 'recorded'>;
}

export interface RevokerDeps {
  readonly book: Book;
  readonly ledger: Pick<Ledger, 'issuance'>;
  readonly credentials: ReadonlyMap<string, ConfiguredCredential>;
  readonly policy: { readonly hash: string };
  readonly limits: { readonly ledgerMs: number; readonly mintMs: number };
  readonly log: OperatorLog;
}

export function openRevoker(deps: RevokerDeps): LeaseRevoker {
  const { book, ledger, limits } = deps;
  return {
    async revoke(call) {
      const story = await ledger.issuance(call.id, call.deadline.within(limits.ledgerMs));
      const issuance = ownIssuance(story, call);
      if (issuance === undefined) throw new Refusal('not_found', 'lease_not_found');
      if (!story.some((entry) => parseRecord(entry.record).type === 'revocation'))
        await recordRevocation(call, issuance);
      return endAtTarget(call, issuance);
    },
  };

  async function recordRevocation(call: RevokeCall, issuance: LedgerRecord): Promise<void> {
    const { request, trace, identity, address } = call;
    const { credential, kind } = issuance;
    const facts = {
      request,
      trace,
      issuance: issuance.id,
      credential,
      kind,
      policy: deps.policy.hash,
      epoch: book.epoch,
      reason: 'requested',
    };
    const entry = book.write('revocation', facts, subjectOf(identity, identity.disclosed, { address }));
    await book.append(entry, call.deadline.within(limits.ledgerMs));
  }

  async function endAtTarget(call: RevokeCall, issuance: LedgerRecord): Promise<'done' | 'recorded'> {
    const account = issuance.lease?.account;
    if (issuance.lease?.revocable !== true || account === undefined) return 'done';
    try {
      const credential = await deps.credentials.get(issuance.credential ?? '')?.open();
      if (credential?.made !== 'target') throw new Refusal('store_failed', 'credential_gone');
      await credential.undo(account, call.deadline.within(limits.mintMs));
      return 'done';
    } catch (error) {
      const reason = error instanceof Refusal ? error.reason : 'internal';
      deps.log('error', 'revoke_unfinished', {
        request: call.request,
        issuance: issuance.id,
        credential: issuance.credential,
        reason,
      });
      return 'recorded';
    }
  }
}

/** The issuance record of the story, when the caller is the identity it was made for. */
function ownIssuance(story: readonly Entry[], call: RevokeCall): LedgerRecord | undefined {
  for (const entry of story) {
    const record = parseRecord(entry.record);
    if (record.type !== 'issuance' || record.id !== call.id || entry.disclosure === null) continue;
    const { iss, subject } = openDisclosure(entry.disclosure);
    const same =
      record.identity?.issuer === call.identity.issuer &&
      iss === call.identity.iss &&
      subject === call.identity.subject;
    return same ? record : undefined;
  }
  return undefined;
}
