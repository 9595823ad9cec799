import { parseInstant } from '../lib/time.ts';
import { invalid } from './examine.ts';
import type { IssuanceState, StoredEntry } from './log-store.ts';
import type { LedgerRecord } from './record.ts';

/** What is known of an issuance that had neither intent nor failure: its own record is its outcome. */
export function bareState({
  id,
  type,
  writer,
  index,
}: Pick<StoredEntry, 'id' | 'type' | 'writer' | 'index'>): IssuanceState | undefined {
  if (type !== 'issuance' && type !== 'session') return undefined;
  return { id, writer, intent: null, outcome: index, once: null, expiresAt: null, ended: null };
}

/** The state after `record`, or undefined where the entry itself says enough. @throws Refusal invalid_request */
export function nextState(
  state: IssuanceState | undefined,
  record: LedgerRecord,
  id: string,
  index: number,
  afterSigning: boolean,
): IssuanceState | undefined {
  const expiresAt =
    record.lease === undefined ? (state?.expiresAt ?? null) : (parseInstant(record.lease.expiresAt) as number);
  const blank = { id, writer: record.writer.name, intent: null, outcome: null, once: null, expiresAt, ended: null };
  switch (record.type) {
    case 'intent':
      if (state !== undefined) throw invalid('second_intent');
      return { ...blank, intent: index, once: record.once ?? null };
    case 'issuance':
      if (state === undefined) return undefined;
      if (state.outcome !== null) throw invalid('second_outcome');
      return { ...state, outcome: index, expiresAt };
    case 'failure':
      if (state?.outcome != null && !(afterSigning && state.ended === null)) throw invalid('second_outcome');
      return { ...(state ?? blank), outcome: state?.outcome ?? index, ended: index };
    case 'revocation':
      if (state === undefined) throw invalid('unknown_issuance');
      return { ...state, ended: state.ended ?? index };
    // A login for one issuance says nothing of how that one ends.
    case 'session':
      return undefined;
    case 'renewal':
      if (state === undefined) throw invalid('unknown_issuance');
      return { ...state, expiresAt };
    default:
      return state;
  }
}
