import type { Deadline } from '../lib/deadline.ts';
import type { SinkEntry } from './entry.ts';
import type { SinkCheckpoint } from './sink.ts';

export interface SourceCheckpoint extends Omit<SinkCheckpoint, 'known'> {
  /** The position that its tree ends at. */
  readonly end: number;
}

/** One ledger (of a sharded one, one shard) as the forwarder reads it. Rejects with Refusal ledger_unavailable. */
export interface SinkSource {
  /** Its origin. */
  readonly name: string;
  /** The position after its newest entry. */
  end(deadline: Deadline): Promise<number>;
  /** Where a sink begins that is new and wants what comes from now on; absent or undefined: at the end. */
  readonly begin?: ((deadline: Deadline) => Promise<number | undefined>) | undefined;
  /** What is there of positions [from, to), oldest first. */
  entries(from: number, to: number, deadline: Deadline): Promise<readonly SinkEntry[]>;
  /** Of each of its logs whose tree ends past this position the newest checkpoint, oldest log first. */
  checkpoints(past: number, deadline: Deadline): Promise<readonly SourceCheckpoint[]>;
  /** Small durable texts; `write` compares and sets, and is false where the text is not `was`. */
  readonly texts: {
    read(name: string, deadline: Deadline): Promise<string | undefined>;
    write(name: string, was: string | undefined, text: string | null, deadline: Deadline): Promise<boolean>;
  };
}
