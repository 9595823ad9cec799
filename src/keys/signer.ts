import type { Deadline } from '../lib/deadline.ts';
import type { ReadRef, Ref } from '../lib/ref.ts';
import type { Secret } from '../lib/secret.ts';
import type { SessionDeps } from '../sessions/session.ts';
import type { SigningAlgorithm, SigningKey } from './keys.ts';

/** A signer's key; `input` where its private part is at hand and other purposes' keys may be derived from it. */
export interface SignerKey extends SigningKey {
  readonly input?: Uint8Array;
}

/** How a signer whose keys are in a KMS logs in there: by ambient identity alone. */
export interface SignerDeps extends Omit<SessionDeps, 'assert' | 'step'> {
  readonly read: ReadRef;
  readonly random: (bytes: number) => Uint8Array;
  /** The folder relative paths count from; absent where there is no file system. */
  readonly folder?: string | undefined;
  /** What some store takes and nothing else: where keys are made here, one for that is made too. */
  readonly needs?: readonly SigningAlgorithm[] | undefined;
  /** What a Durable Object keeps for a signer of its own. */
  readonly object?: ObjectKeys | undefined;
  /** How long a new key is announced, milliseconds; only `keys rotate` has it. */
  readonly announceMs?: number | undefined;
  /** Writes a new version behind a REF, with the store's own rights; only `keys rotate` has it. */
  readonly write?: ((ref: Ref, value: Secret, deadline: Deadline) => Promise<void>) | undefined;
}

/** Keys in the storage of a ledger's Durable Object: made there, shown to nobody outside. */
export interface ObjectKeys {
  /** The private key of `{ kind: local }`, made when it is first asked for: a PKCS#8 PEM or a private JWK. */
  made(alg: SigningAlgorithm): Promise<string>;
  /** The text of keys that a KMS sealed, if any. */
  sealed(): string | undefined;
  /** Keeps it; durable when it resolves. */
  keep(sealed: string): Promise<void>;
}

/** One entry of `broker.signer`, opened. */
export interface Signer {
  /**
   * The keys as they are now, newest first, at least one; asked again while the server lives, a key that was there gives
   * the same object. @throws KeyError for a key that is no good; Refusal when a REF or a KMS cannot be read
   */
  keys(deadline: Deadline): Promise<readonly SignerKey[]>;
  /** Makes the next key of each algorithm beside those there. Absent where the operator must. @throws as `keys` */
  readonly rotate?: (deadline: Deadline) => Promise<void>;
  /** Lets go of a key whose last token died; absent where the operator must. @throws KeyError where it cannot be removed */
  readonly forget?: (kid: string) => Promise<void>;
}

/** What a signer's `load` gives; `open` does no I/O. */
export interface SignerModule {
  open(config: unknown, deps: SignerDeps): Signer;
}
