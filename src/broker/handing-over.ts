import type { Handles } from '../leases/handle.ts';
import type { AppendResult } from '../ledger/ledger.ts';
import type { Deadline } from '../lib/deadline.ts';
import { Refusal } from '../lib/refusal.ts';
import type { Secret } from '../lib/secret.ts';
import { type AppendDecided, type AppendDeps, codeOf, openAppend } from './append.ts';
import type { IssueAnswer } from './call.ts';
import { denyAlike, type GateDeps } from './gate.ts';
import { mayBeUndone, type Pass, writePass } from './pass.ts';
import { answerOf, sealedOf } from './release.ts';
import { endedBy } from './terms.ts';
import { isUnknownOutcome, openUndoing, type UndoDeps } from './undoing.ts';

export interface HandingOverDeps extends AppendDeps, UndoDeps, Pick<GateDeps, 'count'> {
  /** The keyed fingerprint of a secret, and the key's id. */
  readonly fingerprint: (value: Secret, deadline: Deadline) => Promise<{ fingerprint: string; fingerprintKey: string }>;
}

/**
 * What was decided becomes what is released: (intent) -> read or mint -> record -> release, of all passes of a request
 * together. What was made and is not released is undone. Rejects with a Refusal.
 */
export function openHandingOver(deps: HandingOverDeps): (asked: readonly Pass[]) => Promise<readonly IssueAnswer[]> {
  const { book, gate, limits, policy } = deps;
  const append: AppendDecided = openAppend(deps);
  const undoing = openUndoing(deps);
  const ledgerTime = (pass: Pass): Deadline =>
    pass.call.deadline.within(limits.ledgerMs, mayBeUndone(pass) ? limits.undoMs : 0);

  return async (asked: readonly Pass[]): Promise<readonly IssueAnswer[]> => {
    const first = asked.filter(({ intended }) => intended);
    if (first.length > 0) await intend(first);
    const passes = await obtainAll(asked);
    const { passes: recorded, result, handles } = await record(passes);
    return release(recorded, result, handles);
  };

  async function intend(passes: readonly Pass[]): Promise<void> {
    try {
      await append(passes, (pass) => writePass(book, policy.hash, pass, 'intent', { issuance: pass.request.id }));
    } catch (error) {
      if (isUnknownOutcome(error)) for (const { request } of passes) deps.unsettled(request.id);
      throw error;
    }
  }

  /** Reads or makes them all; a signed kind only says what is to be signed, by the ledger's side, from the record. */
  async function obtainAll(asked: readonly Pass[]): Promise<readonly Pass[]> {
    const results = await Promise.allSettled(asked.map(obtain));
    const failed = results.find((result) => result.status === 'rejected');
    const passes = asked.map((pass, at) => {
      const result = results[at];
      return result?.status === 'fulfilled' ? result.value : pass;
    });
    if (failed === undefined) return passes;
    const gone = await undoing.undo(passes);
    const said = (pass: Pass) => pass.intended || isFailure(results[passes.indexOf(pass)]);
    // A ledger that failed is asked nothing more in this request; the sweeper settles the record.
    if (results.some(isLedgerDown)) for (const { request } of passes.filter(said)) deps.unsettled(request.id);
    else await undoing.recordFailures(gone.filter(said), codeOf(failed.reason));
    throw failed.reason;
  }

  async function obtain(pass: Pass): Promise<Pass> {
    const { call, identity, credential, request } = pass;
    try {
      if (credential.made === 'signed') return { ...pass, draft: await credential.draft(request) };
      const issued = credential.made === 'read' ? await credential.read(request) : await credential.make(request);
      return { ...pass, issued };
    } catch (error) {
      return await denyAlike(gate, call, identity, error);
    }
  }

  async function record(made: readonly Pass[]) {
    let asked = false;
    try {
      const passes = made.map((pass) => ({ ...pass, lease: endedBy(pass.lease, pass.issued?.expiresAt) }));
      const prints = await Promise.all(passes.map(fingerprintOf));
      const handles = await deps.handles(ledgerTime(made[0] as Pass));
      asked = true;
      const result = await append(passes, (pass, at) => {
        const { request, issued } = pass;
        const stored = { id: request.id, store: issued?.store, version: issued?.version, ...prints[at] };
        return writePass(book, policy.hash, pass, 'issuance', stored);
      });
      return { passes, result, handles };
    } catch (error) {
      const gone = await undoing.undo(made);
      // A ledger that failed is asked nothing more in this request; the sweeper settles the record. One that took the records
      // and could not sign has said itself what was not issued.
      if (isUnknownOutcome(error) || (asked && !isRefused(error)))
        for (const { request } of made) deps.unsettled(request.id);
      else {
        const said = gone.filter(({ intended }) => intended || !isDenied(error));
        await undoing.recordFailures(said, codeOf(error));
      }
      throw error;
    }
  }

  async function fingerprintOf(pass: Pass) {
    const secret = (pass.issued ?? pass.draft)?.fingerprinted;
    return secret === undefined ? {} : await deps.fingerprint(secret, ledgerTime(pass));
  }

  async function release(
    passes: readonly Pass[],
    { receipts, minted }: AppendResult,
    handles: Handles,
  ): Promise<readonly IssueAnswer[]> {
    const answers: IssueAnswer[] = [];
    for (const [at, pass] of passes.entries()) {
      try {
        const issued = pass.issued ?? finish(pass, minted[at] ?? null);
        const receipt = receipts[at];
        if (receipt === undefined) throw new Refusal('ledger_unavailable', 'no_receipt');
        answers.push(answerOf(pass, issued, { receipt, handles, sealed: await sealedOf(pass, issued) }));
      } catch (error) {
        // It was tried before, so what fails here is undone and left to the sweeper to record.
        await undoing.undo(passes);
        for (const { request } of passes) deps.unsettled(request.id);
        throw error;
      }
    }
    for (const { configured } of passes)
      deps.count('hallpass_issuances_total', { credential: configured.name, kind: configured.kind });
    return answers;
  }

  function finish({ draft }: Pass, minted: string | null) {
    if (draft === undefined || minted === null) throw new Refusal('ledger_unavailable', 'not_minted');
    return draft.finish(minted);
  }
}

/** A denial has its record already. */
const isDenied = (error: unknown): boolean => codeOf(error) === 'denied' || codeOf(error) === 'replayed';

/** By the ledger, or by the gate that was asked again: nothing of it is in the log. */
const isRefused = (error: unknown): boolean => isDenied(error) || codeOf(error) === 'invalid_request';

const isFailure = (result: PromiseSettledResult<unknown> | undefined): boolean =>
  result?.status === 'rejected' && !isDenied(result.reason);

const isLedgerDown = (result: PromiseSettledResult<unknown>): boolean =>
  result.status === 'rejected' && codeOf(result.reason) === 'ledger_unavailable';
