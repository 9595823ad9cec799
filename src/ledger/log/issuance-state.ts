import { parseInstant } from '../../lib/time.ts';
import type { IssuanceState, Owed, StoredEntry } from '../log-store.ts';
import type { LedgerRecord } from '../records/record.ts';
import { invalid } from './examine.ts';

/** What is known of an issuance that had neither intent nor failure: its own record is its outcome. */
export function bareState({
  id,
  type,
  writer,
  index,
}: Pick<StoredEntry, 'id' | 'type' | 'writer' | 'index'>): IssuanceState | undefined {
  if (type !== 'issuance' && type !== 'session') return undefined;
  return { id, writer, intent: null, outcome: index, once: null, expiresAt: null, ended: null, owed: null };
}

/** How often a record may tell that one lease is still there, milliseconds. */
const tellEvery = 3_600_000;

/** The state after `record`, or undefined where the entry itself says enough. @throws Refusal invalid_request */
export function nextState(
  state: IssuanceState | undefined,
  record: LedgerRecord,
  id: string,
  index: number,
  afterSigning: boolean,
): IssuanceState | undefined {
  // Of most issuances nothing is kept.
  if (record.type === 'issuance' && state === undefined) return undefined;
  const expiresAt =
    record.lease === undefined ? (state?.expiresAt ?? null) : (parseInstant(record.lease.expiresAt) as number);
  const nothing = { intent: null, outcome: null, once: null, ended: null, owed: null };
  const blank = { ...nothing, id, writer: record.writer.name, expiresAt };
  switch (record.type) {
    case 'intent':
      if (state !== undefined) throw invalid('second_intent');
      return { ...blank, intent: index, once: record.once ?? null };
    case 'issuance':
      if (state === undefined) return undefined;
      if (state.outcome !== null) throw invalid('second_outcome');
      if (state.ended !== null) throw invalid('ended');
      return { ...state, outcome: index, expiresAt };
    case 'failure':
      if (state?.outcome != null && !(afterSigning && state.ended === null)) throw invalid('second_outcome');
      return {
        ...(state ?? blank),
        outcome: state?.outcome ?? index,
        ended: index,
        // Whoever gives up what another began undoes it next; all others have undone it before they say that it failed.
        owed: state != null && state.intent !== null && record.reason === 'abandoned' ? untold(index) : null,
      };
    case 'revocation':
      if (state === undefined) throw invalid('unknown_issuance');
      return revoked(state, record, index);
    // A login for one issuance says nothing of how that one ends.
    case 'session':
      return undefined;
    case 'renewal':
      if (state === undefined) throw invalid('unknown_issuance');
      if (state.ended !== null) throw invalid('ended');
      // One that was decided before another, and came after it, does not take back what that one gave.
      return { ...state, expiresAt: Math.max(state.expiresAt ?? 0, expiresAt ?? 0) };
    default:
      return state;
  }
}

const untold = (since: number): Owed => ({ since, told: null });

/**
 * `done` and `expired`: it is gone at the target. `unrevoked`: it is still there, told once an hour. Any other reason is
 * why it is to end, and for what was made at a target that is owed from then on.
 */
function revoked(state: IssuanceState, { reason, time }: LedgerRecord, index: number): IssuanceState {
  const made = state.intent !== null;
  const ended = state.ended ?? index;
  const over = made && state.ended !== null && state.owed === null;
  switch (reason) {
    case 'done':
    case 'expired':
      if (over) throw invalid('already_done');
      return { ...state, ended, owed: null };
    case 'unrevoked': {
      const told = parseInstant(time) as number;
      if (over) throw invalid('already_done');
      if (Math.abs(told - (state.owed?.told ?? Number.NEGATIVE_INFINITY)) < tellEvery) throw invalid('already_told');
      return { ...state, ended, owed: { since: ended, told } };
    }
    default:
      return { ...state, ended, owed: made && state.ended === null ? untold(index) : state.owed };
  }
}
