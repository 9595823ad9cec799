import type { PlugIn } from '../lib/catalog.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Fault } from '../lib/fault.ts';
import type { Runtime } from '../lib/platform.ts';
import type { ReadRef } from '../lib/ref.ts';
import type { Secret } from '../lib/secret.ts';
import { UpstreamError, type UpstreamFault } from '../lib/upstream.ts';
import type { AssertionTerms, SessionDeps } from '../sessions/session.ts';

export interface StoredSecret {
  readonly value: Secret;
  /** The store's own name of the version that was read. */
  readonly version: string;
}

export interface SecretDescription {
  readonly name: string;
  readonly version: string;
  /** RFC 3339; absent where the store does not know. */
  readonly createdAt?: string;
  readonly versions: number;
  /** When the store itself will change the value next, or last did, RFC 3339; absent where it does not rotate. */
  readonly rotation?: { readonly enabled: boolean; readonly next?: string; readonly last?: string };
}

/**
 * Where secrets are kept and read in place. Every method rejects with a StoreError and with nothing else; none retries;
 * each ends by the deadline. Names and versions are the store's own and are never part of a path or URL unescaped.
 */
export interface Store {
  /** One version, the current one when none is named. */
  get(name: string, version: string | undefined, deadline: Deadline): Promise<StoredSecret>;
  describe(name: string, deadline: Deadline): Promise<SecretDescription>;
  /** Names in order; values are not read. */
  list(deadline: Deadline): Promise<string[]>;
  /** Writes a new version and makes it current; resolves once durable. */
  put(name: string, value: Secret, deadline: Deadline): Promise<{ version: string }>;
  /** Removes the secret with all versions; absent is `absent`. */
  remove(name: string, deadline: Deadline): Promise<void>;
}

export type StoreFault = UpstreamFault;

/** What a store's method rejects with; carries nothing of the store's own words but its error code. */
export class StoreError extends UpstreamError {
  override readonly name = 'StoreError';
}

export interface StoreDeps extends SessionDeps {
  readonly runtime: Runtime;
  readonly random: (bytes: number) => Uint8Array;
  /** The folder relative paths count from; absent where there is no file system. */
  readonly folder?: string;
  /** For a store whose own key is kept in another one. */
  readonly read: ReadRef;
}

/** A store's descriptor. What of it the ledger's side needs is pure: it computes the same assertion and compares. */
export interface StorePlugIn extends PlugIn<StoreModule> {
  /** How Hallpass proves itself there; absent or undefined: by ambient identity, or there is nobody to prove it to. */
  readonly assertion?: (config: unknown) => AssertionTerms | undefined;
  /** Why the store an entry names could never have a secret of this name. */
  readonly nameFault?: (name: string, config: unknown) => Omit<Fault, 'path'> | undefined;
  /** Whether its secrets have no versions: one value is then as new as another, as far as anybody can tell. */
  readonly versionless?: (config: unknown) => boolean;
  /** What of rotating its secrets is not to be had: `all` where nothing is written, `dated` where a value has no date. */
  readonly unrotated?: (config: unknown) => 'all' | 'dated' | undefined;
  /** What of this entry is a secret that lives long and that this deployment itself holds, one short line each. */
  readonly holds?: (config: unknown) => readonly string[];
}

/** What a store's `load` gives: `open` makes one from its checked config entry. It does no I/O before the first call. */
export interface StoreModule {
  open(config: unknown, deps: StoreDeps): Store;
}
