import type { Deadline } from '../lib/deadline.ts';
import type { JsonObject } from '../lib/strict-json.ts';
import type { SessionDeps } from '../sessions/session.ts';
import type { SigningAlgorithm } from './keys.ts';

/** One version of a key that a KMS keeps. */
export interface KmsVersion {
  /** The KMS's own name of it; goes into the operator's log, never to a caller. */
  readonly id: string;
  readonly alg: SigningAlgorithm;
  /** The public key as a JWK without `kid`. */
  readonly publicJwk: JsonObject;
}

/**
 * A key management service, as a signer sees it. Each method is one upstream call (or one and a login), rejects with an
 * UpstreamError and nothing else, retries nothing and ends by the deadline. It logs in by ambient identity: an assertion
 * would have to be signed by the very key it opens.
 */
export interface Kms {
  /** The versions that may sign now, newest first, at most four. A KMS whose keys have no versions has one. */
  versions(deadline: Deadline): Promise<readonly KmsVersion[]>;
  /** A JWS signature (RFC 7515; ECDSA as r || s) over the message itself. */
  sign(version: KmsVersion, data: Uint8Array, deadline: Deadline): Promise<Uint8Array>;
  /** At most 64 bytes: the key that a wrapped signer's keys are sealed under. */
  encrypt(plain: Uint8Array, deadline: Deadline): Promise<Uint8Array>;
  /** What `encrypt` gave. */
  decrypt(sealed: Uint8Array, deadline: Deadline): Promise<Uint8Array>;
  /** Makes the next version, for `keys rotate`; absent where the operator makes a key of its own (AWS). */
  readonly rotate?: (deadline: Deadline) => Promise<void>;
}

/** What a KMS's own code loads. It does no I/O before the first call. */
export interface KmsModule {
  open(config: unknown, deps: Omit<SessionDeps, 'assert'>): Kms;
}
