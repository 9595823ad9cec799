import { isJsonObject } from '../lib/strict-json.ts';

/** How far a sink was served, kept beside the log under `cursorName`. */
export interface RecordCursor {
  /** The position that it gets next. */
  readonly next: number;
}

/** The last checkpoint that a sink took. */
export interface CheckpointCursor {
  /** The position that its tree ends at. */
  readonly end: number;
  /** When, milliseconds since the epoch. */
  readonly at: number;
  readonly log: string;
  readonly size: number;
  /** The note that a witness cosigned. */
  readonly note?: string;
}

export const cursorName = (sink: string): string => `sink:${sink}`;

export const writeCursor = (cursor: RecordCursor | CheckpointCursor): string => JSON.stringify(cursor);

/** undefined where there is none, or one of a sink of this name that got something else. */
export function recordCursor(text: string | undefined): RecordCursor | undefined {
  const { next } = parsed(text);
  return isPosition(next) ? { next } : undefined;
}

/** undefined where there is none. */
export function checkpointCursor(text: string | undefined): CheckpointCursor | undefined {
  const { end, at, log, size, note } = parsed(text);
  if (!isPosition(end) || !isPosition(size) || typeof at !== 'number' || typeof log !== 'string') return undefined;
  return { end, at, log, size, ...(typeof note === 'string' && { note }) };
}

const isPosition = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function parsed(text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}
