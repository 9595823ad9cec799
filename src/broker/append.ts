import type { Handles } from '../leases/handle.ts';
import type { Book, Under } from '../ledger/erasure/book.ts';
import type { AppendResult } from '../ledger/ledger.ts';
import type { RecordText } from '../ledger/records/record.ts';
import type { Deadline } from '../lib/deadline.ts';
import { Refusal } from '../lib/refusal.ts';
import type { Gate } from './gate.ts';
import { mayBeUndone, type Pass } from './pass.ts';

export interface AppendDeps {
  readonly book: Book;
  readonly gate: Gate;
  readonly handles: (deadline: Deadline) => Promise<Handles>;
  readonly limits: { readonly ledgerMs: number; readonly undoMs: number };
}

/** All passes of one request, appended together or not at all. */
export type AppendDecided = (
  passes: readonly Pass[],
  write: (pass: Pass, at: number) => RecordText,
) => Promise<AppendResult>;

/** Appends what was decided, under its epoch; when that turns out stale, decides again, once. */
export function openAppend({ book, gate, handles, limits }: AppendDeps): AppendDecided {
  return async (passes, write) => {
    try {
      return await appendOnce(passes, write);
    } catch (error) {
      if (codeOf(error) !== 'stale') throw error;
    }
    return await appendOnce(await decideAgain(passes), write).catch(refuseStale);
  };

  async function decideAgain(passes: readonly Pass[]): Promise<Pass[]> {
    const again: Pass[] = [];
    for (const pass of passes) {
      const decision = await gate.decide(pass.call, pass.identity, pass.call.credential);
      // Another grant has other terms than those already put into this pass: the caller asks anew.
      if (decision.grant !== pass.decision.grant)
        throw new Refusal('ledger_unavailable', 'decided_otherwise', { retryAfter: 1 });
      again.push({ ...pass, decision });
    }
    return again;
  }

  /** What the ledger refuses the caller is a denial like any other. */
  async function appendOnce(passes: readonly Pass[], write: (pass: Pass, at: number) => RecordText) {
    const [first] = passes;
    if (first === undefined) throw new Refusal('internal', 'nothing_to_append');
    const { call, identity } = first;
    const deadline = call.deadline.within(limits.ledgerMs, passes.some(mayBeUndone) ? limits.undoMs : 0);
    try {
      const under = await underOf(passes, deadline);
      const records = passes.map((pass, at) => write(decidedUnder(pass, under.epoch), at));
      return await book.appendAll(records, deadline, under);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const asked = passes.length === 1 ? call.credential : undefined;
      if (error.code === 'replayed') throw await gate.denied(call, identity, 'replayed', asked);
      if (error.code === 'denied') throw await gate.denied(call, identity, error.reason, asked);
      throw error;
    }
  }

  /** Of several epochs the oldest: all were still right under it, or are decided again. */
  async function underOf(passes: readonly Pass[], deadline: Deadline): Promise<Under & { readonly epoch: number }> {
    const once = passes.find(({ decision }) => decision.terms.once)?.identity.token;
    const epoch = Math.min(...passes.map(({ decision }) => decision.epoch));
    const most = oneLimit(passes);
    const [first] = passes;
    if (most === undefined || first === undefined) return { epoch, once };
    const names = await handles(deadline);
    const former = names.formerHolders(first.identity);
    const max = { holder: names.holder(first.identity), most, ...(former.length > 0 && { former }) };
    return { epoch, once, max };
  }
}

/** One append is made under one epoch, and so are its records. */
const decidedUnder = (pass: Pass, epoch: number): Pass =>
  pass.decision.epoch === epoch ? pass : { ...pass, decision: { ...pass.decision, epoch } };

/** One append holds one limit. @throws Refusal invalid_request for grants that have others: they do not go together */
export function oneLimit(passes: readonly Pass[]): number | undefined {
  const [most, ...others] = passes.map(({ decision }) => decision.terms.max);
  if (others.some((limit) => limit !== most)) throw severalLimits();
  return most;
}

const severalLimits = (): Refusal =>
  new Refusal('invalid_request', 'several_limits', {
    detail: 'These credentials cannot be asked for together.',
    hint: 'Ask for each by itself.',
  });

export const codeOf = (error: unknown): string => (error instanceof Refusal ? error.code : 'internal');

/** Only writers hear that they are stale. */
export function refuseStale(error: unknown): never {
  throw codeOf(error) === 'stale' ? new Refusal('ledger_unavailable', 'stale_twice', { retryAfter: 1 }) : error;
}
