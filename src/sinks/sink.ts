import type { PlugIn } from '../lib/catalog.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { OperatorLog, Runtime } from '../lib/platform.ts';
import type { ReadRef } from '../lib/ref.ts';
import type { AssertionTerms, SessionDeps } from '../sessions/session.ts';
import type { SinkEntry } from './entry.ts';

/** The newest signed tree head of a log. */
export interface SinkCheckpoint {
  /** Its origin. */
  readonly log: string;
  readonly size: number;
  /** C2SP tlog-checkpoint, as the log signed it. */
  readonly note: string;
  /** How many entries of this log the sink is known to have had, by the last checkpoint it took. */
  readonly known: number;
  /** The proof that this tree begins with its first `size` entries (RFC 9162 section 2.1.4). */
  prove(size: number, deadline: Deadline): Promise<readonly Uint8Array[]>;
}

/**
 * Where copies go. Each method resolves once the other side has it for good, by the deadline, and rejects with an
 * UpstreamError (or a Refusal of reading a secret) when that is not known; what was delivered may then come again.
 */
export interface Sink {
  /** Characters of records and disclosures that it takes in one pass, where what is more would be lost; absent: any number. */
  readonly mostChars?: number;
  /** Entries in order, of one ledger; absent where it takes none. */
  readonly deliver?: (entries: readonly SinkEntry[], deadline: Deadline) => Promise<void>;
  /** One checkpoint; what it answers is kept beside the log (a cosigned note). Absent where it takes none. */
  readonly publish?: (checkpoint: SinkCheckpoint, deadline: Deadline) => Promise<string | undefined>;
}

export interface SinkDeps extends SessionDeps {
  /** In the config. */
  readonly name: string;
  readonly runtime: Runtime;
  readonly random: (bytes: number) => Uint8Array;
  readonly log: OperatorLog;
  /** The folder relative paths count from; absent where there is no file system. */
  readonly folder?: string;
  /** Reads the secrets that the other side is shown. */
  readonly read: ReadRef;
}

/** A sink's descriptor. */
export interface SinkPlugIn extends PlugIn<SinkModule> {
  /** How Hallpass proves itself there; absent or undefined: it does not, or by ambient identity. */
  readonly assertion?: (config: unknown) => AssertionTerms | undefined;
}

/** What a sink's `load` gives. `open` does no I/O. */
export interface SinkModule {
  open(config: unknown, deps: SinkDeps): Sink;
}
