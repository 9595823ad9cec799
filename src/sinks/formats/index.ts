import type { SinkEntry } from '../entry.ts';
import { cloudEventText } from './cloudevents.ts';
import type { FormatName } from './names.ts';
import { nativeText } from './native.ts';
import { ocsfEvent } from './ocsf.ts';

/** Each writes one entry as the text of one JSON object. */
export const formats: Readonly<Record<FormatName, (entry: SinkEntry) => string>> = {
  native: nativeText,
  ocsf: (entry) => JSON.stringify(ocsfEvent(entry)),
  cloudevents: cloudEventText,
};

/** One line per entry. */
export const ndjson = (format: FormatName, entries: readonly SinkEntry[]): string =>
  entries.map((entry) => `${formats[format](entry)}\n`).join('');
