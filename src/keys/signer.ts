import type { Deadline } from '../lib/deadline.ts';
import type { ReadRef } from '../lib/ref.ts';
import type { SigningKey } from './keys.ts';

/** A signer's key; `input` where its private part is at hand and other purposes' keys may be derived from it. */
export interface SignerKey extends SigningKey {
  readonly input?: Uint8Array;
}

export interface SignerDeps {
  readonly read: ReadRef;
  readonly random: (bytes: number) => Uint8Array;
  /** The folder relative paths count from; absent where there is no file system. */
  readonly folder?: string | undefined;
  /** The key a Durable Object made and keeps, PKCS#8 PEM; what `{ kind: local }` alone stands for. */
  readonly held?: string | undefined;
}

/** What a signer's `load` gives: the keys of its checked config entry. */
export interface SignerModule {
  /** Newest first, at least one. @throws KeyError for a key that is no good, Refusal when a REF cannot be read */
  open(config: unknown, deps: SignerDeps, deadline: Deadline): Promise<readonly SignerKey[]>;
}
