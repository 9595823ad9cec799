import type { Deadline } from '../lib/deadline.ts';
import type { JsonObject } from '../lib/strict-json.ts';
import type { Confirmations, Copied } from './following.ts';
import type { Head, Holding, PendingState } from './log-store.ts';
import type { QueryIndex } from './query-index.ts';
import type { RecordText, RecordType } from './records/record.ts';
import type { WriterRights } from './records/writer.ts';

/** What an append asks; `epoch` is the lockdown epoch the writer decided under. */
export interface AppendRequest {
  readonly entries: readonly RecordText[];
  readonly epoch: number;
  /** Hash of the policy decided under; an unseen one makes the ledger write its `policy` record first. */
  readonly policy?: string;
  /** Numbers for that `policy` record, where known. */
  readonly policyCounts?: { readonly grants: number; readonly credentials: number };
  /** The replay key; spent by the first append that carries it. */
  readonly once?: string;
  /** Asked of each intent and issuance in it. */
  readonly max?: Holding;
}

/** Proof that a record is in the log. */
export interface Receipt {
  readonly log: string;
  readonly index: number;
  readonly record: string;
  readonly disclosure?: string;
  /** C2SP tlog-proof@v1. */
  readonly proof: string;
}

export interface AppendResult {
  /** Aligned with the request's entries. */
  readonly receipts: readonly Receipt[];
  /** What was signed at the serial point, aligned; null where nothing was to be. */
  readonly minted: readonly (string | null)[];
}

/** An entry as it lies in the ledger. */
export interface Entry {
  /** Its position, counted through all logs of the ledger; pages begin at one. */
  readonly index: number;
  readonly record: string;
  /** null when there was none or it was erased. */
  readonly disclosure: string | null;
}

/** An entry with its place in a log that proofs are about. */
export interface PlacedEntry extends Entry {
  /** That log's origin. */
  readonly log: string;
  /** The entry's index in it. */
  readonly leaf: number;
}

/** A signing key of this deployment's own; the log records once that it began and once that it ended. */
export interface KeyRecord {
  readonly purpose: string;
  readonly kid: string;
  readonly jwk: JsonObject;
}

/** What a log knows of this deployment's own signing keys. Rejects with Refusal ledger_unavailable. */
export interface OwnKeys {
  /** `key` records from an index on, oldest first, at most 1,000. */
  list(from: number, deadline: Deadline): Promise<readonly Entry[]>;
  /** Durable when it resolves; what is there already is not written again, whoever wrote it. */
  record(begin: readonly KeyRecord[], end: readonly KeyRecord[], deadline: Deadline): Promise<void>;
}

export interface PublicKeys {
  /** JWKs that verify what `{broker.url}` signs. */
  readonly assertions: readonly Record<string, unknown>[];
  /** JWKs that verify what `{broker.url}/workloads` signs; absent where nothing signs for it. */
  readonly workloads?: readonly Record<string, unknown>[];
}

/** A page of `pending`. */
export const pendingPage = 100;

/** In place of a writer's name, where the log is here: whoever wrote it. */
export const everyWriter = '*';

export interface PendingFilter {
  /** Default: this broker. */
  readonly writer?: string | undefined;
  /** Only those past this index. */
  readonly after?: number | undefined;
}

/**
 * The central ledger as the broker sees it, whatever the driver. `append` resolves only when the records are durable;
 * it is idempotent by record id. It rejects with a Refusal: `stale` (members `epoch`, `lockdowns`), `replayed` (member
 * `index`), `invalid_request` (a record the ledger refuses), `denied` (a mint the writer may not have) or
 * `ledger_unavailable` (the outcome is unknown: the records may or may not be in the log).
 */
export interface Ledger {
  readonly origin: string;
  /** Where auditors must ask instead, for a ledger that is elsewhere. */
  readonly elsewhere?: string;
  append(request: AppendRequest, deadline: Deadline): Promise<AppendResult>;
  /** The same for another broker that came over HTTP, with its own rights; absent where the log is not here. */
  readonly accept?: (request: AppendRequest, writer: WriterRights, deadline: Deadline) => Promise<AppendResult>;
  /**
   * All records of one issuance that `writer` (default: this broker) wrote, oldest first, with disclosures; of several logs of
   * which one is away, all but logins, where another has the issuance.
   */
  issuance(id: string, deadline: Deadline, writer?: string): Promise<readonly Entry[]>;
  /** The intents or issuances that want undoing, oldest first, at most `pendingPage`. */
  pending(state: PendingState, deadline: Deadline, filter?: PendingFilter): Promise<readonly Entry[]>;
  /** The pinned or own verifier key (`name+hash+base64`). */
  key(deadline: Deadline): Promise<string>;
  /** Rejects when the ledger could not take an append now. */
  ready(deadline: Deadline): Promise<void>;
  /** The keys of the ledger's side; for `http` the broker's own set comes from its own signer. */
  keys(deadline: Deadline): Promise<PublicKeys>;
  /** Looks for keys that began or are to end, where the ledger keeps keys to itself. */
  readonly refreshKeys?: (deadline: Deadline) => Promise<void>;
  /** HKDF input for handle, fingerprint and identity keys, from a ledger that keeps the signer's keys to itself. */
  readonly secret?: (deadline: Deadline) => Promise<Uint8Array>;
  /** The log itself, where it is here to be read. */
  readonly reader?: LogReader;
  /** What finds entries by what they say; beside the log, and behind it. */
  readonly index?: QueryIndex;
  /** Where answers may have to wait for a standby. */
  readonly confirming?: Confirmations;
  /** Small texts kept beside the log, where it is here. */
  readonly texts?: Texts;
  /** Forgets the disclosures at these positions for good; absent where the log is not here. */
  readonly erase?: (positions: readonly number[], deadline: Deadline) => Promise<void>;
  /** Closes the log that grows and begins its successor, in one commit. Rejects with Refusal ledger_unavailable. */
  readonly roll?: (request: RollRequest, deadline: Deadline) => Promise<Rolled>;
  /**
   * Takes a signed checkpoint of the log before this one, which ended from outside: where it is of a larger tree than this
   * log's first records know of, one more says so. Rejects with Refusal invalid_request for any other checkpoint.
   */
  readonly claim?: (checkpoint: string, deadline: Deadline) => Promise<void>;
  /** Takes a lockdown that another log of this ledger recorded first, as it is and in its turn. */
  readonly copy?: (lockdown: RecordText, deadline: Deadline) => Promise<void>;
  /**
   * Takes entries that another copy of this log has, with all that follows from them; gives the position behind the newest.
   * What is here already is left as it is. Rejects with Refusal invalid_request where they do not fit, too_large (fewer at
   * once).
   */
  readonly adopt?: (copied: Copied, deadline: Deadline) => Promise<number>;
  /** The logs of a sharded ledger, each a whole ledger; absent where there is one. */
  readonly shards?: readonly Ledger[];
  /** This deployment's own keys, where the log is here. */
  readonly ownKeys?: OwnKeys;
  close(): Promise<void>;
}

export interface RollRequest {
  /** Only this log: another one that grows by then is left as it is. Default: whichever grows. */
  readonly generation?: number;
  /** The largest tree of the log known elsewhere, where it ended by force: what is not here of it is lost. */
  readonly lost?: { readonly size: number; readonly root: Uint8Array };
  /** A stable word. */
  readonly reason?: string;
}

/** Where the ledger stands after a roll. */
export interface Rolled {
  /** The log that grows. */
  readonly log: string;
  readonly generation: number;
  /** False where another log than the one named grew already. */
  readonly done: boolean;
}

/** Small texts beside a log, durable but no part of it: how far a sink was served. Rejects with Refusal ledger_unavailable. */
export interface Texts {
  read(name: string, deadline: Deadline): Promise<string | undefined>;
  /** Compare and set: false, and nothing written, where it is not `was` (undefined: absent); null removes it. */
  write(name: string, was: string | undefined, text: string | null, deadline: Deadline): Promise<boolean>;
}

/**
 * Reads of a log that is at hand. Rejects with Refusal ledger_unavailable. `generation`: of that log; default: the one that
 * grows. One that is not there is refused as not_found.
 */
export interface LogReader {
  /** The newest signed checkpoint (C2SP tlog-checkpoint); of a closed log its last. */
  checkpoint(deadline: Deadline, generation?: number): Promise<string>;
  head(deadline: Deadline): Promise<Head>;
  /** What is there of positions [from, to), oldest first. */
  entries(from: number, to: number, deadline: Deadline): Promise<readonly PlacedEntry[]>;
  /** What is there of these positions, in any order; absent: they are asked for by `entries`. */
  readonly at?: (positions: readonly number[], deadline: Deadline) => Promise<readonly PlacedEntry[]>;
  /** Newest first; `type` undefined = all; `before` = only positions below it. */
  list(
    filter: { type?: RecordType; before?: number; limit: number },
    deadline: Deadline,
  ): Promise<readonly PlacedEntry[]>;
  /** Everything of one issuance, oldest first, each with a tlog-proof against the newest checkpoint of its log. */
  story(issuance: string, deadline: Deadline): Promise<readonly (PlacedEntry & { readonly proof: string })[]>;
  /** `width` concatenated hashes of tile (level, n), or undefined when the log does not reach that far. */
  tile(
    level: number,
    n: number,
    width: number,
    deadline: Deadline,
    generation?: number,
  ): Promise<Uint8Array | undefined>;
  /** Entries of bundle n up to `width`, or undefined. */
  bundle(n: number, width: number, deadline: Deadline, generation?: number): Promise<Uint8Array | undefined>;
  /** The checkpoint of the tree that ends at a position; undefined where no commit ended there. */
  readonly treeAt?: (end: number, deadline: Deadline) => Promise<string | undefined>;
  /**
   * The entries of one log from a position on, to be taken by a copy: about `limit` of them, up to the end of a commit.
   * Undefined where there are none yet.
   */
  copy(from: number, limit: number, deadline: Deadline): Promise<Copied | undefined>;
  /** The records by which the logs after this generation began, oldest first, each with its proof; at most 100. */
  succession(after: number, deadline: Deadline): Promise<readonly Receipt[]>;
}
