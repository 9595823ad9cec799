import type { Deadline } from '../lib/deadline.ts';
import type { ReadRef } from '../lib/ref.ts';
import type { Secret } from '../lib/secret.ts';

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

/**
 * Distinct, because a caller acts differently on each: `absent` no such name or version; `denied` the store refused us;
 * `disabled` it is there and switched off; `unreachable` no usable answer; `slow` no answer by the deadline;
 * `read_only` this store takes no writes; `invalid` a name or value it cannot hold; `damaged` what is stored fails its
 * own integrity check.
 */
export type StoreFault =
  | 'absent'
  | 'denied'
  | 'disabled'
  | 'unreachable'
  | 'slow'
  | 'read_only'
  | 'invalid'
  | 'damaged';

/** Carries nothing of the store's own words; `cause` stays inside the process. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  constructor(
    readonly fault: StoreFault,
    options?: { cause?: unknown },
  ) {
    super(fault, options);
  }
}

export interface StoreDeps {
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder relative paths count from; absent where there is no file system. */
  readonly folder?: string;
  /** For a store whose own key is kept in another one. */
  readonly read: ReadRef;
}

/** What a store's `load` gives: `open` makes one from its checked config entry. It does no I/O before the first call. */
export interface StoreModule {
  open(config: unknown, deps: StoreDeps): Store;
}
