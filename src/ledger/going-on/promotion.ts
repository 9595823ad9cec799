import type { Deadline } from '../../lib/deadline.ts';
import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';
import type { Ledger, Texts } from '../ledger.ts';
import { unavailable } from '../unavailable.ts';

/** When this ledger was promoted, and from when on it takes tokens that may be used once; milliseconds since the epoch. */
export interface Promotion {
  readonly at: number;
  readonly onceFrom: number;
  /** Of the logs that end by it, in the order of the shards. */
  readonly ends: readonly number[];
  /** All of them have ended. */
  readonly done: boolean;
}

/** Under which name the first log keeps it. */
export const promotionName = 'promotion';
/** The newest checkpoint of the followed log, kept beside each log. */
export const checkpointName = 'followed';

/** @throws Refusal ledger_unavailable `promotion_malformed`: with less than all of it, tokens that were spent would be taken */
export function promotionIn(text: string | undefined): Promotion | undefined {
  if (text === undefined) return undefined;
  const value = objectIn(text);
  const { at, onceFrom, ends, done } = value;
  const numbers = [at, onceFrom, ...(Array.isArray(ends) ? ends : [undefined])];
  if (!numbers.every(Number.isFinite) || typeof done !== 'boolean') throw unavailable('promotion_malformed');
  return value as unknown as Promotion;
}

function objectIn(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

export const logsOf = (ledger: Ledger): readonly Ledger[] => ledger.shards ?? [ledger];

/** Rejects with Refusal ledger_unavailable. */
export async function headOf(reader: Ledger['reader'], deadline: Deadline) {
  if (reader === undefined) throw unavailable('not_here');
  return reader.head(deadline);
}

/** The texts of the first log. @throws Refusal ledger_unavailable */
export function textsOf(ledger: Ledger): Texts {
  const texts = logsOf(ledger)[0]?.texts;
  if (texts === undefined) throw unavailable('not_here');
  return texts;
}

/** From when on a promoted ledger takes tokens that may be used once, milliseconds since the epoch. Rejects with Refusal ledger_unavailable. */
export const onceTakenFrom = async (ledger: Ledger, deadline: Deadline): Promise<number | undefined> =>
  promotionIn(await textsOf(ledger).read(promotionName, deadline))?.onceFrom;
