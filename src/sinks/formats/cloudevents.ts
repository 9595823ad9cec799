import { recordOf, type SinkEntry } from '../entry.ts';
import { nativeText } from './native.ts';

/** A structured CloudEvent 1.0 as JSON text; `source` and `id` are the same whenever the entry is sent again. */
export function cloudEventText(entry: SinkEntry): string {
  const { type, id, time, issuance } = recordOf(entry);
  const attributes = {
    specversion: '1.0',
    // A URI reference (CloudEvents 1.0, source): an origin may have characters that none has.
    source: encodeURI(entry.log),
    id,
    type: `hallpass.${type}`,
    time,
    subject: issuance ?? id,
    datacontenttype: 'application/json',
  };
  return `${JSON.stringify(attributes).slice(0, -1)},"data":${nativeText(entry)}}`;
}
