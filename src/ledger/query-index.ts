import type { Deadline } from '../lib/deadline.ts';

/** What an entry is found by. Members that do not apply are absent. */
export interface IndexRow {
  /** The entry's position. */
  readonly index: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly type: string;
  readonly issuance?: string;
  readonly issuer?: string;
  readonly credential?: string;
  readonly kind?: string;
  readonly store?: string;
  readonly grant?: string;
  readonly reason?: string;
  readonly account?: string;
  readonly fingerprint?: string;
  readonly fingerprintKey?: string;
  readonly trace?: string;
  /** Disclosed, and forgotten when the disclosure is: `identity.name` and the token's digest. */
  readonly name?: string;
  readonly token?: string;
}

/** What is asked; all members must hold. `from` inclusive, `to` exclusive, milliseconds. `name` takes `*` (name-pattern.ts). */
export type IndexFilter = { readonly from?: number; readonly to?: number } & {
  readonly [member in Exclude<keyof IndexRow, 'index' | 'time'>]?: string;
};

/** Finds entries by what they say. Built from the log, always behind it, never part of an append. Rejects with Refusal. */
export interface QueryIndex {
  /** How many positions it likes to be given at once; absent: 256. */
  readonly batch?: number;
  /** Entries at positions below this are in it. */
  seen(deadline: Deadline): Promise<number>;
  /** When the entry at a position below that was, milliseconds since the epoch; absent where it cannot be of another log. */
  readonly timeAt?: (position: number, deadline: Deadline) => Promise<number | undefined>;
  /** Adds the rows of positions [from, to), all or nothing; false where it had not seen exactly up to `from`. */
  add(rows: readonly IndexRow[], from: number, to: number, deadline: Deadline): Promise<boolean>;
  /** The same with what it reads from its log by itself, elsewhere than on this thread; absent where it cannot. */
  readonly read?: (from: number, to: number, deadline: Deadline) => Promise<boolean>;
  /** Positions below `before` whose rows fit, newest first. */
  find(filter: IndexFilter, before: number, limit: number, deadline: Deadline): Promise<readonly number[]>;
  /** Forgets what was disclosed at these positions; at one it has not seen, whenever its row comes. */
  forget(positions: readonly number[], deadline: Deadline): Promise<void>;
  /** Empties it, to be built again. What it was told to forget unseen it still knows. */
  clear(deadline: Deadline): Promise<void>;
  /**
   * Reads on from its log by itself, as far as it gets by the deadline; gives how many entries it has not seen then. Absent
   * where it must be given its rows.
   */
  readonly follow?: (deadline: Deadline) => Promise<number>;
  /** How many entries carry a fingerprint under each key; absent where it does not know. */
  readonly fingerprintKeys?: (deadline: Deadline) => Promise<Readonly<Record<string, number>>>;
  readonly close?: () => Promise<void>;
}
