import type { OperatorLog } from '../../lib/platform.ts';
import type { Generations } from '../generation.ts';
import type { KeyRecord, PublicKeys } from '../ledger.ts';
import type { LogStore } from '../log-store.ts';
import type { Writer } from '../records/record.ts';
import type { Minter } from '../records/writer.ts';
import type { NoteSigner } from '../tree/note.ts';
import type { DurableHead } from './durable-head.ts';
import type { Turns } from './turns.ts';

/** What decides when an append that is durable may be answered. */
export interface AnswerGate {
  /** @throws Refusal ledger_unavailable where nothing would be answered, so that nothing need be stored */
  admit(): void;
  /**
   * `end` gives the position behind the last entry; `many`: how many requests wait; `begin`: the position of the first entry
   * that is new, if any is. Undefined: they may be answered now.
   */
  hold(generation: number, end: () => number, many: number, begin?: number): Promise<void> | undefined;
  /** The store was opened anew: what was known of it may be of another, which had come further. */
  doubted?(): void;
  close(): void;
}

/** What a log is opened over. */
export interface LogDeps {
  readonly store: LogStore;
  /** Of the checkpoints; its name is the log's origin. */
  readonly signer: NoteSigner;
  readonly minter?: Minter;
  readonly keyRecords?: () => readonly KeyRecord[];
  readonly keys: PublicKeys;
  /** This deployment's own broker, and who signs what the log itself writes. */
  readonly writer: Writer;
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  readonly log: OperatorLog;
  /** Holds answers back. Absent: none is. */
  readonly gate?: AnswerGate;
  /** Lets all who are about to append come in before a batch is taken: the fuller it is, the less each record costs. */
  readonly gather?: () => Promise<void>;
}

/** What the parts of one log share. */
export interface LogParts extends LogDeps {
  readonly signers: Generations;
  readonly head: DurableHead;
  readonly turns: Turns;
}
