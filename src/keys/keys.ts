import type { Deadline } from '../lib/deadline.ts';
import type { JsonObject } from '../lib/strict-json.ts';

export type SigningAlgorithm = 'ES256' | 'RS256';

/** A key that signs tokens. `kid` is the RFC 7638 SHA-256 thumbprint unless the key says otherwise. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  /** With `kid`, `alg` and `use: sig`; never a private member. */
  readonly publicJwk: JsonObject;
  /**
   * JWS signature bytes (RFC 7515; ECDSA as r || s). @throws Refusal ledger_unavailable, reason `kms_*`, when a KMS did
   * not sign by the deadline
   */
  sign(data: Uint8Array, deadline?: Deadline): Promise<Uint8Array>;
}

/**
 * What one deployment signs with. Purposes never share a key: `workloads` and `checkpointSeed` are derived (HKDF) from
 * the signer's private key or from `ledger.seed`.
 */
export interface KeyRing {
  /** May sign as `{broker.url}` now; the first that fits what the audience takes. Changes as keys rotate: not to be kept. */
  readonly assertions: readonly SigningKey[];
  /** The JWKs that verify what was or will be signed so: also of keys that are announced or whose last token may live. */
  readonly published: readonly JsonObject[];
  /** Signs as `{broker.url}/workloads`. Absent on a broker whose ledger is elsewhere. */
  readonly workloads?: SigningKey;
  /** 32 bytes: the Ed25519 seed of the checkpoint key. Absent on a broker whose ledger is elsewhere. */
  readonly checkpointSeed?: Uint8Array;
  /** Input of the handle, fingerprint and identity keys where no `broker.secret` is configured. */
  readonly secret?: Uint8Array;
}
