import type { JsonObject } from '../../lib/strict-json.ts';
import { disclosedOf, recordOf, type SinkEntry } from '../entry.ts';

/** An entry as `GET /v1/issuances` gives it: the record can be written canonically again, and hashed. */
export function nativeEvent(entry: SinkEntry): JsonObject {
  const { log, leaf, disclosure } = entry;
  const disclosed = disclosedOf(entry);
  const record = recordOf(entry) as unknown as JsonObject;
  return { log, index: leaf, record, ...(disclosed !== undefined && { disclosure: disclosure as string, disclosed }) };
}
