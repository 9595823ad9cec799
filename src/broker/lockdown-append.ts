import { type Facts, subjectOf } from '../ledger/erasure/book.ts';
import type { RecordText } from '../ledger/records/record.ts';
import type { Identity } from '../lib/identity.ts';
import { Refusal } from '../lib/refusal.ts';
import type { JsonObject } from '../lib/strict-json.ts';
import { codeOf } from './append.ts';
import { type Call, causeOf } from './call.ts';
import type { Gate, GateDeps } from './gate.ts';

export interface LockdownAppendDeps extends Pick<GateDeps, 'book'> {
  readonly gate: Gate;
  readonly policy: { readonly hash: string };
  readonly limits: { readonly ledgerMs: number };
}

/** Others that add or lift at the same moment. */
const mostTries = 8;

/** Appends the record by which a lockdown is added or lifted, and puts it in force here. Rejects with a Refusal. */
export function openLockdownAppend({ book, gate, policy, limits }: LockdownAppendDeps) {
  /** Where it is not known whether it landed, or not all shards could be reached, the same again completes it. */
  async function land(call: Call, entry: RecordText, epoch: number) {
    const once = () => book.append(entry, call.deadline.within(limits.ledgerMs), { epoch });
    try {
      return await once();
    } catch (error) {
      if (codeOf(error) !== 'ledger_unavailable') throw error;
      return once();
    }
  }

  /** Decided and appended under one epoch; where another was faster, decided again: who was locked out meanwhile is denied. */
  return async (
    call: Call,
    identity: Identity,
    facts: Facts,
    typed: { readonly match?: JsonObject; readonly why?: string | undefined },
  ) => {
    for (let tries = 1; ; tries++) {
      const { grant, epoch } = await gate.permit(call, identity, 'lockdown:write');
      const subject = subjectOf(identity, identity.disclosed, { ...typed, address: call.address });
      const decided = { ...causeOf(call), grant, policy: policy.hash, epoch: epoch + 1, reason: 'ordered' };
      const entry = book.write('lockdown', { ...decided, ...facts }, subject);
      try {
        const { receipt } = await land(call, entry, epoch);
        // This instance has it too, also for what appends nothing.
        await book.refresh(call.deadline, epoch + 1);
        const { log, index } = receipt;
        const placed = { ...entry, log, leaf: index, index };
        return { placed, answer: { log, index, epoch: epoch + 1, receipt } };
      } catch (error) {
        if (codeOf(error) !== 'stale' || tries >= mostTries) throw unlanded(error);
      }
    }
  };
}

/** Whoever is in a hurry must not take a lockdown that may hold for one that does not. */
function unlanded(error: unknown): unknown {
  if (codeOf(error) === 'stale') return new Refusal('ledger_unavailable', 'stale_too_often', { retryAfter: 1 });
  if (!(error instanceof Refusal) || error.code !== 'ledger_unavailable') return error;
  const hint = 'It is not known whether this landed: see hallpass lockdown list, or do it again.';
  return new Refusal(error.code, error.reason, { ...error.options, hint });
}
