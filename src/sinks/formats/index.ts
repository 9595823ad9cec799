import type { JsonObject } from '../../lib/strict-json.ts';
import type { SinkEntry } from '../entry.ts';
import { cloudEvent } from './cloudevents.ts';
import { nativeEvent } from './native.ts';
import { ocsfEvent } from './ocsf.ts';

export const formatNames = ['native', 'ocsf', 'cloudevents'] as const;
export type FormatName = (typeof formatNames)[number];

/** Each writes one entry as one JSON object. */
export const formats: Readonly<Record<FormatName, (entry: SinkEntry) => JsonObject>> = {
  native: nativeEvent,
  ocsf: ocsfEvent,
  cloudevents: cloudEvent,
};

/** One line per entry. */
export const ndjson = (format: FormatName, entries: readonly SinkEntry[]): string =>
  entries.map((entry) => `${JSON.stringify(formats[format](entry))}\n`).join('');
