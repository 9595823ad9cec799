import type { Deadline } from '../../lib/deadline.ts';

export type SqlValue = string | number | Uint8Array | null;
export type SqlRow = Readonly<Record<string, unknown>>;

/** Runs one query. */
export type SqlAll = (sql: string, params: readonly SqlValue[]) => readonly SqlRow[];

/** One statement, run once per row of parameters. `changes`: how many rows each run must change. */
export interface SqlStatement {
  readonly sql: string;
  readonly rows: readonly (readonly SqlValue[])[];
  readonly changes?: number;
}

/** A column of a table, in the rows that have these keys. */
export interface Column {
  readonly table: string;
  readonly column: string;
  readonly key: string;
  readonly keys: readonly SqlValue[];
  /** Where SQLite cannot be told to overwrite what it moves: these do so with the copies it left of these rows. */
  readonly copies?: readonly SqlStatement[];
}

/** The statement that puts nothing there. */
export const blankStatement = ({ table, column, key, keys }: Column): SqlStatement => ({
  sql: `UPDATE ${table} SET ${column} = NULL WHERE ${key} = ?`,
  rows: keys.map((one) => [one]),
});

/** An SQLite (3.45 or a Durable Object's) as one log uses it. Blobs come back as ArrayBuffer or Uint8Array. */
export interface Sql {
  /** Runs reads over one snapshot. @throws StoreFault */
  read<T>(work: (all: SqlAll) => T): T;
  /** One durable transaction; `conflict` when a run's changes differ: nothing was written. Rejects with StoreFault. */
  write(statements: readonly SqlStatement[], deadline: Deadline): Promise<'done' | 'conflict'>;
  /**
   * Puts nothing into this column of these rows, durably, and overwrites what was there. No rows: sees to it that what was
   * overwritten before is in no file any more. Rejects with StoreFault.
   */
  blank(column: Column, deadline: Deadline): Promise<void>;
  /** Reads do not see what a write has in memory: what it can look up itself costs less there. */
  readonly apart?: boolean;
  /** Takes the answer of a `write` that has come and that the event loop has not got to yet. */
  poll?(): void;
  reopen(deadline: Deadline): Promise<void>;
  close(): Promise<void>;
}

/** An SQLite as an index uses it, on this thread or another. Rejects with StoreFault. */
export interface IndexSql {
  read(sql: string, params: readonly SqlValue[], deadline: Deadline): Promise<readonly SqlRow[]>;
  /** One transaction; `conflict` when a run's changes differ: nothing was written. */
  write(statements: readonly SqlStatement[], deadline: Deadline): Promise<'done' | 'conflict'>;
  /** Sees to it that what was overwritten is in no file any more. */
  scrub(deadline: Deadline): Promise<void>;
  close(): Promise<void>;
}

/** Text as its bytes: where they are no UTF-8, libsql would end the process. */
export const textColumn = (name: string): string => `CAST(${name} AS BLOB)`;

/** A blob, as either SQLite gives it; nothing where somebody put something else there. */
export function bytesIn(value: unknown): Uint8Array {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return value instanceof Uint8Array ? value : new Uint8Array(0);
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** The text of a `textColumn`. Bytes that are none become other text, which no hash or signature fits. */
export const textIn = (value: unknown): string | null =>
  value === null || value === undefined ? null : utf8.decode(bytesIn(value));
