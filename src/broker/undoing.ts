import type { Book } from '../ledger/erasure/book.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import { codeOf } from './append.ts';
import { causeOf } from './call.ts';
import { accountOf, type Pass, writePass } from './pass.ts';

export interface UndoDeps {
  readonly book: Book;
  readonly policy: { readonly hash: string };
  readonly limits: { readonly ledgerMs: number; readonly undoMs: number };
  /** Remembers an issuance whose record or account could not be finished, for the sweeper to settle. */
  readonly unsettled: (issuance: string) => void;
  readonly log: OperatorLog;
}

/** What happens to passes that were not released. */
export interface Undoing {
  /** Ends at the target what may have been made there. @returns those known to be gone */
  undo(passes: readonly Pass[]): Promise<readonly Pass[]>;
  /** One `failure` for each. @throws Refusal ledger_unavailable */
  recordFailures(passes: readonly Pass[], reason: string): Promise<void>;
}

export function openUndoing({ book, policy, limits, unsettled, log }: UndoDeps): Undoing {
  async function undoOne(pass: Pass): Promise<boolean> {
    const { call, configured, credential, issued, request } = pass;
    const account = accountOf(pass);
    const lease = { issuance: request.id, ...(account && { account }), ...(issued?.kept && { kept: issued.kept }) };
    const deadline = call.deadline.within(limits.undoMs);
    try {
      if (credential.made === 'target') await credential.undo(lease, deadline);
      if (credential.made === 'read' && issued?.kept !== undefined) await credential.end?.(lease, deadline);
      return true;
    } catch (error) {
      unsettled(request.id);
      const reason = error instanceof Refusal ? error.reason : 'internal';
      log('error', 'undo_failed', { ...causeOf(call), issuance: request.id, credential: configured.name, reason });
      return false;
    }
  }

  return {
    async undo(passes) {
      const gone = await Promise.all(passes.map(undoOne));
      return passes.filter((_, at) => gone[at]);
    },
    async recordFailures(passes, reason) {
      const [first] = passes;
      if (first === undefined) return;
      const { epoch } = first.decision;
      const entries = passes.map((pass) =>
        writePass(book, policy.hash, pass, 'failure', { issuance: pass.request.id, reason, epoch }),
      );
      await book.appendAll(entries, first.call.deadline.within(limits.ledgerMs), { epoch }).catch((error) => {
        for (const { request } of passes) unsettled(request.id);
        throw error;
      });
    },
  };
}

export const isUnknownOutcome = (error: unknown): boolean =>
  codeOf(error) === 'internal' || codeOf(error) === 'ledger_unavailable';
