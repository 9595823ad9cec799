import { fromBase64Url, fromUtf8 } from '../lib/bytes.ts';
import type { RecordFacts } from '../lib/record-facts.ts';
import { isJsonObject, type JsonObject } from '../lib/strict-json.ts';

/** One entry of a log, as a sink gets it. */
export interface SinkEntry {
  /** Origin of the log that it lies in. */
  readonly log: string;
  /** Its index in that log. */
  readonly leaf: number;
  /** Its position, counted through all logs of the ledger. */
  readonly index: number;
  /** The record's canonical text: the bytes that were hashed. */
  readonly record: string;
  /** null where there was none, where it was erased, and where the sink is given none. */
  readonly disclosure: string | null;
}

/** The ledger took it, so it is one. */
export const recordOf = ({ record }: Pick<SinkEntry, 'record'>): RecordFacts => JSON.parse(record) as RecordFacts;

/** What a disclosure says, without its salt; undefined where there is none. */
export function disclosedOf({ disclosure }: Pick<SinkEntry, 'disclosure'>): JsonObject | undefined {
  const bytes = disclosure === null ? undefined : fromBase64Url(disclosure);
  if (bytes === undefined) return undefined;
  const [, members] = JSON.parse(fromUtf8(bytes)) as [string, unknown];
  return isJsonObject(members) ? members : undefined;
}
