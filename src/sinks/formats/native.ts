import { disclosedOf, type SinkEntry } from '../entry.ts';

/** An entry as `GET /v1/issuances` gives it, as JSON text: the record's own bytes stand in it as they were hashed. */
export function nativeText(entry: SinkEntry): string {
  const { log, leaf, record, disclosure } = entry;
  const disclosed = disclosedOf(entry);
  const more =
    disclosed === undefined
      ? ''
      : `,"disclosure":${JSON.stringify(disclosure)},"disclosed":${JSON.stringify(disclosed)}`;
  return `{"log":${JSON.stringify(log)},"index":${leaf},"record":${record}${more}}`;
}
