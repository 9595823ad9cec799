import type { Deadline } from '../lib/deadline.ts';
import type { LedgerRecord, RecordType } from './records/record.ts';

/** How many live leases of one credential a holder may have; refused as `denied`, reason `max`. */
export interface Holding {
  /** HMAC of the identity, base64url (43 characters). */
  readonly holder: string;
  /** The same under the keys before: by these its older leases are counted. At most 16. */
  readonly former?: readonly string[];
  readonly most: number;
}

/** A log that was closed: its tree has entries [base, base + size) of the ledger, and gets no more. */
export interface EndedLog {
  /** 1 for the first; the origin of a later one ends in `~<generation>`. */
  readonly generation: number;
  readonly base: number;
  readonly size: number;
}

/** Where a ledger stands: the log that grows, and those that were closed before it. */
export interface Head {
  readonly generation: number;
  /** How many entries the closed logs have: entry i of this log lies at position base + i. */
  readonly base: number;
  /** Oldest first. */
  readonly ended: readonly EndedLog[];
  /** Entries of the log that grows. */
  readonly size: number;
  /** The compact range: roots of the perfect subtrees, largest first. */
  readonly range: readonly Uint8Array[];
  readonly root: Uint8Array;
  /** Lockdown epoch: how many lockdowns were added or lifted. */
  readonly epoch: number;
  /** The newest signed checkpoint. */
  readonly checkpoint: string;
}

export interface StoredEntry {
  /** Its position: counted through all logs of the ledger, so the leaf's index in its own log plus that log's base. */
  readonly index: number;
  readonly id: string;
  readonly type: RecordType;
  /** The issuance the record is about, if any. */
  readonly issuance: string | null;
  readonly writer: string;
  readonly record: string;
  readonly disclosure: string | null;
  readonly leaf: Uint8Array;
  /** Position that the first checkpoint which covers it ends at: that log's base plus the checkpoint's size. */
  readonly tree: number;
}

/** What a copy of an entry is made of. */
export type StoredRecord = Pick<StoredEntry, 'index' | 'record' | 'disclosure'>;

/** What the log knows of an issuance that had an intent or a failure. */
export interface IssuanceState {
  readonly id: string;
  readonly writer: string;
  /** Indices. */
  readonly intent: number | null;
  readonly outcome: number | null;
  /** The replay key its intent spent. */
  readonly once: string | null;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | null;
  /** Index of what ended it: failure or revocation. */
  readonly ended: number | null;
  /** It ended, and is not known to be gone at the target. */
  readonly owed: Owed | null;
}

export interface Owed {
  /** Index of what ended it. */
  readonly since: number;
  /** When a record last told that it is still there, milliseconds since the epoch. */
  readonly told: number | null;
}

/** A lease that counts against its holder's `max`; kept beside the log, as no record names the holder. */
export interface Held {
  readonly credential: string;
  readonly holder: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** What wants undoing: intents without outcome, leases past expiry that nobody ended, what ended and is not known to be gone. */
export type PendingState = 'open' | 'expired' | 'unrevoked';

/** What a plan must know: each member lists keys, and the answer holds those that exist. */
export interface Wanted {
  readonly ids: readonly string[];
  readonly issuances: readonly string[];
  readonly spent: readonly string[];
  readonly seen: readonly string[];
  /** Whose live leases of which credential are to be counted. */
  readonly holders: readonly Pick<Held, 'credential' | 'holder'>[];
  /** What is live is so at this time. */
  readonly now: number;
  /**
   * The newest head that the asker knows: where the store's has the same root and checkpoint, it may be given back as it is;
   * one that others wrote on a log which lacks it is StoreFault `past_changed`.
   */
  readonly known?: Head;
}

/** One consistent view of the log. */
export interface Found {
  readonly head: Head;
  readonly entries: ReadonlyMap<string, StoredEntry>;
  readonly issuances: ReadonlyMap<string, IssuanceState>;
  /** Index of the record that spent the key. */
  readonly spent: ReadonlyMap<string, number>;
  /** Names of policies (`policy:<hash>`) and keys (`key:<writer> <purpose>:<kid>`, `ended-key:..`) that have their record. */
  readonly seen: ReadonlySet<string>;
  /** The entries of the lockdowns in force, oldest first. */
  readonly lockdowns: readonly Pick<StoredEntry, 'index' | 'id' | 'record' | 'disclosure'>[];
  /** By issuance. */
  readonly held: ReadonlyMap<string, Held>;
  /** Live leases, by `holdingKey`. */
  readonly holding: ReadonlyMap<string, number>;
}

export const holdingKey = ({ credential, holder }: Pick<Held, 'credential' | 'holder'>): string =>
  `${holder} ${credential}`;

/** What one commit writes, all or nothing. */
export interface Change {
  /** The head this was planned on; another one there means HeadMoved. */
  readonly from: Pick<Head, 'base' | 'size' | 'root'>;
  /** What was not looked up, for a store with `finds`: another checkpoint, or one of these keys there, means HeadMoved too. */
  readonly assumed?: Pick<Head, 'checkpoint'> & Pick<Wanted, 'ids' | 'issuances' | 'spent'>;
  readonly head: Head;
  readonly entries: readonly StoredEntry[];
  /** Roots of 256-wide subtrees that became complete, of the log that begins at `base`. */
  readonly subtrees: readonly {
    readonly base: number;
    readonly level: number;
    readonly index: number;
    readonly hash: Uint8Array;
  }[];
  /** The checkpoint of each tree that this commit signed; `end`: the position it covers all entries up to. */
  readonly checkpoints: readonly { readonly end: number; readonly note: string }[];
  /** Logs that this commit closed. */
  readonly ended: readonly EndedLog[];
  readonly issuances: readonly IssuanceState[];
  readonly spent: readonly { readonly key: string; readonly index: number }[];
  readonly seen: readonly { readonly name: string; readonly index: number }[];
  /** Indices of the records of lockdowns that began and that were lifted. */
  readonly lockdowns: readonly { readonly index: number; readonly lifted: boolean }[];
  /** Leases that count from now on, or until another time. */
  readonly held: readonly (Held & { readonly id: string })[];
  /** Issuances that no longer count. */
  readonly freed: readonly string[];
  /** When it was planned; what expired before counts no more. */
  readonly now: number;
}

/** Another writer moved the head: nothing was written; read again and plan again. */
export class HeadMoved extends Error {
  override readonly name = 'HeadMoved';
}

/** One commit cannot hold all of this: nothing was written; less of it may fit. */
export class TooMuch extends Error {
  override readonly name = 'TooMuch';
}

/** The store failed. After a commit the outcome is unknown; `reason` is a stable word. */
export class StoreFault extends Error {
  override readonly name = 'StoreFault';
  /** Nothing was written, and the store is as it was: there is nothing to open anew. */
  readonly harmless: boolean;
  constructor(
    readonly reason: string,
    options?: { cause?: unknown; harmless?: boolean },
  ) {
    super(`log store: ${reason}`, options);
    this.harmless = options?.harmless ?? false;
  }
}

/** How much one commit holds, where that is little. */
export interface Room {
  readonly most: number;
  /** About how much an append of these records takes; what counts is the order of magnitude. */
  of(records: readonly LedgerRecord[], max: Holding | undefined): number;
}

/**
 * The tables of one log. Every method rejects with StoreFault, `find` and `commit` also with HeadMoved, `commit` with TooMuch,
 * and ends by the deadline.
 */
export interface LogStore {
  readonly room?: Room;
  /** A commit can find out itself whether what it brings is new, for less than a look before. */
  readonly finds?: boolean;
  /** Of a store whose writers meet at the head: within how many milliseconds to try again, after each HeadMoved. */
  readonly spread?: () => number;
  find(wanted: Wanted, deadline: Deadline): Promise<Found>;
  /** Durable when it resolves. */
  commit(change: Change, deadline: Deadline): Promise<void>;
  /** Takes the answer of a commit that has come and that the event loop has not got to yet. */
  poll?(): void;
  /** After a fault: drops what may be half done and opens anew. What is visible after it is durable. */
  reopen(deadline: Deadline): Promise<void>;
  /** Makes durable what is visible, where it may not be: what an answer without a commit stands on; absent: it always is. */
  settle?(deadline: Deadline): Promise<void>;
  /** Rejects when a commit could not be made now. */
  probe(deadline: Deadline): Promise<void>;
  head(): Promise<Head>;
  /** Entries [from, to) that are there, in order. */
  entries(from: number, to: number): Promise<readonly StoredEntry[]>;
  /** Of the same only what a copy needs, in a store where each column of a row costs; absent: by `entries`. */
  readonly records?: (from: number, to: number) => Promise<readonly StoredRecord[]>;
  /** What is there of these positions, in any order; absent: they are asked for by `entries`. */
  readonly at?: (positions: readonly number[]) => Promise<readonly StoredEntry[]>;
  /** Stored hashes [from, to) of a tile level of the log that begins at `base`, in order; rejects when one is missing. */
  hashes(base: number, tileLevel: number, from: number, to: number): Promise<readonly Uint8Array[]>;
  /** The checkpoint whose tree ends at this position. */
  checkpoint(end: number): Promise<string | undefined>;
  /** Newest first, below `before`. */
  list(filter: { type?: RecordType; before: number; limit: number }): Promise<readonly StoredEntry[]>;
  /** `key` records of a writer from an index on, oldest first. */
  keys(writer: string, from: number, limit: number): Promise<readonly StoredEntry[]>;
  /** Oldest first. */
  issuance(id: string): Promise<readonly StoredEntry[]>;
  /** The intents or issuances in that state, oldest first: of one writer (undefined: of any), past index `after`. */
  pending(
    state: PendingState,
    filter: { writer?: string; before: number; after: number; limit: number },
  ): Promise<readonly StoredEntry[]>;
  /** Forgets these entries' disclosures for good: durable, and the bytes are gone where the store can do that. */
  erase(positions: readonly number[], deadline: Deadline): Promise<void>;
  /** A small text kept beside the log. */
  text(name: string): Promise<string | undefined>;
  /** Compare and set: false, and nothing written, where it is not `was`; null removes it. Durable when it resolves. */
  keepText(name: string, was: string | undefined, text: string | null, deadline: Deadline): Promise<boolean>;
  close(): Promise<void>;
}
