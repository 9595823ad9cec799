import type { JsonObject } from '../../lib/strict-json.ts';
import { recordOf, type SinkEntry } from '../entry.ts';
import { nativeEvent } from './native.ts';

/** A structured CloudEvent 1.0; `source` and `id` are the same whenever the entry is sent again. */
export function cloudEvent(entry: SinkEntry): JsonObject {
  const { type, id, time, issuance } = recordOf(entry);
  return {
    specversion: '1.0',
    // A URI reference (CloudEvents 1.0, source): an origin may have characters that none has.
    source: encodeURI(entry.log),
    id,
    type: `hallpass.${type}`,
    time,
    subject: issuance ?? id,
    datacontenttype: 'application/json',
    data: nativeEvent(entry),
  };
}
