import type { Broker } from '../broker.ts';
import type { Sweeper, SweepReport } from '../leases/sweep.ts';
import type { Ledger, PublicKeys, Texts } from '../ledger/ledger.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { Rotation } from '../rotation/rotate.ts';
import type { Forwarder } from '../sinks/forwarder.ts';
import type { Store } from '../stores/store.ts';
import type { Limits } from './config.ts';
import type { Archiver } from './parts/archiver.ts';
import type { ExchangeTarget } from './sections/targets.ts';

/** A config, built: everything the HTTP face needs, nothing of how it was made. */
export interface Deployment {
  /** `broker.url`. */
  readonly url: string;
  readonly broker: Broker;
  readonly ledger: Ledger;
  /** A store of the config, uncached, logged in as this broker. @throws Error for an unknown name */
  openStore(name: string): Promise<Store>;
  /** The `store-write` record of a value put through this broker. @throws Refusal */
  recordStoreWrite(store: string, version: string, deadline: Deadline): Promise<void>;
  readonly limits: Limits;
  /** What a token exchange may name. */
  readonly targets: ReadonlyMap<string, ExchangeTarget>;
  readonly explain: 'names' | 'values' | 'off';
  /** `ledger.public`: checkpoints and hash tiles need no token. */
  readonly publicLog: boolean;
  /** What the two issuers publish. */
  keys(deadline: Deadline): Promise<PublicKeys>;
  /** What the ledger would know a secret value by, under each key of `broker.secret`, with that key's id. */
  fingerprints(
    value: string,
    deadline: Deadline,
  ): Promise<readonly { readonly fingerprint: string; readonly fingerprintKey: string }[]>;
  /** Key of the proofs in an auditor's cursors; the same in every instance that shares `broker.secret`. */
  cursorKey(deadline: Deadline): Promise<Uint8Array>;
  /** Rejects with a Refusal unless ledger and keys are well. */
  ready(deadline: Deadline): Promise<void>;
  /** Finishes what an earlier process left open; run at start and now and then, never on the request path. */
  recover(deadline: Deadline): Promise<void>;
  /** The newest checkpoint of a log that witnesses of the config cosigned, by that log's texts; undefined: none was. */
  cosigned(texts: Texts, deadline: Deadline): Promise<string | undefined>;
  /** Carries copies to the sinks, beside everything else; absent where the config names none. */
  readonly forwarder?: Forwarder;
  /** Puts closed logs into their archive, beside everything else; absent where the config names none. */
  readonly archiver?: Pick<Archiver, 'run'>;
  /** One pass of the sweeper, which looks for orphans too, and removes them where told. @throws Refusal */
  sweep(deadline: Deadline, orphans: boolean): Promise<SweepReport>;
  /** Leases that ended and are not known to be gone at their target. @throws Refusal */
  unrevoked: Sweeper['list'];
  /** Gives a stored value a successor. @throws Refusal not_found, rate_limited, store_failed, ledger_unavailable */
  rotate: Rotation['rotate'];
  /** For /metrics. */
  readonly metrics: Metrics;
  close(): Promise<void>;
}
