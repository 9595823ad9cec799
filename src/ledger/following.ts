import type { Deadline } from '../lib/deadline.ts';
import type { RecordText } from './records/record.ts';

// What a standby and the ledger that it follows say to each other.

/** What a standby says when it asks for more. */
export interface Poll {
  readonly name: string;
  /** All before this position is durable there. */
  readonly after: number;
  /** Of the tree that ends there: its log, and its root in base64. */
  readonly generation?: number;
  readonly root?: string;
  readonly instance?: string;
  /** Serial of the newest pledge that is durable there. */
  readonly heard?: number;
  /** It took over, and this is the log it began: it confirms nothing. */
  readonly promoted?: number;
}

/** What a standby hears from the ledger it follows. */
export interface Followed {
  /** Entries from the position asked for on; undefined where there are no more. */
  readonly copied: Copied | undefined;
  /** The newest checkpoint of the log that grows there. */
  readonly checkpoint: string;
  /** What it promises this standby. */
  readonly pledge?: Pledge | undefined;
}

/** A run of entries of one log, as another copy of it has them. */
export interface Copied {
  readonly generation: number;
  /** Position at which that log begins. */
  readonly base: number;
  /** Position of the first of the entries. */
  readonly from: number;
  readonly entries: readonly RecordText[];
  /**
   * Of the trees that they were signed in, by the position each ends at; the last one ends with the last entry. null: to be
   * signed here, where the entries are known to be right by a later one.
   */
  readonly checkpoints: readonly { readonly end: number; readonly note: string | null }[];
}

/**
 * What a ledger has promised its standby, durable beside its log and told in every answer to it. While it is `on`, no
 * append is answered that this standby has not confirmed, and no log begins that it has not been told of before.
 */
export interface Pledge {
  /** Counts up with each change: of two, the higher is the newer. */
  readonly serial: number;
  /** The standby's name, as it asks under. */
  readonly standby: string;
  /** Which database of that standby: one that was made anew knows nothing of what was confirmed. */
  readonly instance: string;
  /**
   * `entering`: from the next log on. `off`: it is to be over, and the standby may not know yet. `over`: it knows.
   * `replaced`: the standby has taken over.
   */
  readonly state: 'entering' | 'on' | 'off' | 'over' | 'replaced';
  /** The newest log that this ledger may have begun: who has not got that far must not take over. */
  readonly generation: number;
  /** Why that log begins, as its record will say. */
  readonly reason: string;
}

/** How a standby that answers wait for is heard. */
export interface Confirmations {
  /** Whether answers wait for one. */
  readonly waits: boolean;
  /** A standby asks: what it has is confirmed. Gives what was promised to it, if it is the one. */
  polled(poll: Poll, deadline: Deadline): Promise<Pledge | undefined>;
  /** Resolves when there is more than a standby has, at the latest after `ms`, with what is promised to it by then. */
  news(poll: Poll, ms: number, deadline: Deadline): Promise<Pledge | undefined>;
}
