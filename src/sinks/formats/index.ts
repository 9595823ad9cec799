import type { SinkEntry } from '../entry.ts';
import { cloudEventText } from './cloudevents.ts';
import { nativeText } from './native.ts';
import { ocsfEvent } from './ocsf.ts';

export const formatNames = ['native', 'ocsf', 'cloudevents'] as const;
export type FormatName = (typeof formatNames)[number];

/** Each writes one entry as the text of one JSON object. */
export const formats: Readonly<Record<FormatName, (entry: SinkEntry) => string>> = {
  native: nativeText,
  ocsf: (entry) => JSON.stringify(ocsfEvent(entry)),
  cloudevents: cloudEventText,
};

/** One line per entry. */
export const ndjson = (format: FormatName, entries: readonly SinkEntry[]): string =>
  entries.map((entry) => `${formats[format](entry)}\n`).join('');
