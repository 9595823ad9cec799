import type { Deadline } from '../../lib/deadline.ts';
import type { Platform } from '../../lib/platform.ts';
import type { ReadRef } from '../../lib/ref.ts';
import type { KeyRecord, Ledger, PublicKeys } from '../ledger.ts';
import type { AnswerGate } from '../log/parts.ts';
import type { Writer } from '../records/record.ts';
import type { Minter } from '../records/writer.ts';
import type { VerifySource } from '../verify/source.ts';

/** What a log needs that is kept by this deployment itself. */
export interface LogSecrets {
  /** 32 bytes: the Ed25519 seed that signs checkpoints. */
  readonly checkpointKey: Uint8Array;
  readonly minter?: Minter;
  /** Keys that sign and may have no record yet: asked at each commit, written before what is committed. */
  readonly keyRecords?: () => readonly KeyRecord[];
  readonly keys: PublicKeys;
}

export interface LedgerDriverDeps {
  readonly platform: Platform;
  /** Origin of the log, where this deployment keeps it. */
  readonly origin: string;
  /** This broker, as it signs its records. */
  readonly writer: Writer;
  /** Absent where the ledger keeps its own keys. */
  readonly secrets?: LogSecrets;
  /** Reads a value a store holds, such as where the log's database is. */
  readonly read?: ReadRef;
  /** Holds back the answers of a log that is kept here. */
  readonly gate?: AnswerGate;
  /** This broker's assertion for a ledger that is elsewhere. */
  readonly assertion?: (deadline: Deadline) => Promise<string>;
}

/** A log opened to be verified. */
export interface Inspection {
  readonly source: VerifySource;
  close(): Promise<void>;
}

/** What a ledger driver's plug-in loads. `open` rejects with an Error that says what is wrong with the log it found. */
export interface LedgerDriverModule {
  open(config: unknown, deps: LedgerDriverDeps): Promise<Ledger>;
  /** Opens the log for reading only, beside whoever writes it; absent where it cannot be read from here. */
  readonly inspect?: (config: unknown, deps: InspectDeps) => Promise<Inspection>;
  /** Makes the tables of the log, or brings them up to date; absent where opening does that. */
  readonly init?: (config: unknown, deps: LedgerDriverDeps) => Promise<'made' | 'upgraded' | 'there'>;
}

export interface InspectDeps {
  readonly platform: Pick<Platform, 'folder' | 'fetch' | 'now' | 'random' | 'env' | 'log' | 'readFile'>;
  readonly read: ReadRef;
  /** Which log of a sharded ledger. */
  readonly shard?: number;
}
