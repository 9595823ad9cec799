import { fromBase64Url, fromUtf8 } from '../lib/bytes.ts';
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

/** A record's members, of which a format reads some. */
export interface RecordFacts {
  readonly type: string;
  readonly id: string;
  readonly time: string;
  readonly writer: { readonly name: string; readonly instance: string; readonly version: string };
  readonly issuance?: string;
  readonly request?: string;
  readonly trace?: string;
  readonly identity?: { readonly issuer: string; readonly who: string };
  readonly credential?: string;
  readonly kind?: string;
  readonly store?: string;
  readonly version?: string;
  readonly grant?: string;
  readonly policy?: string;
  readonly reason?: string;
  readonly count?: number;
  readonly audience?: string;
  readonly issuer?: string;
  readonly from?: string;
  readonly to?: string;
  readonly counts?: Readonly<Record<string, number>>;
  readonly op?: string;
  readonly state?: string;
  readonly target?: string;
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
