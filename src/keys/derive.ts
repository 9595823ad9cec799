import { hkdfSha256, hmacSha256, sha256, toBase64Url } from '../lib/bytes.ts';
import type { Secret } from '../lib/secret.ts';
import { fromScalar, type PrivateKey } from './private-key.ts';

/** The order of P-256 (SP 800-186 section 3.2.1.3). */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The key that signs as `{broker.url}/workloads`: 48 bytes mod (n - 1) + 1 (FIPS 186-5 A.2.1). */
export function deriveWorkloadsKey(input: Uint8Array): PrivateKey {
  const wide = BigInt(`0x${Buffer.from(hkdfSha256(input, 'hallpass/workloads/v1', 48)).toString('hex')}`);
  const scalar = (wide % (order - 1n)) + 1n;
  return fromScalar(Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex'));
}

/** The Ed25519 seed of the checkpoint key, 32 bytes. */
export const deriveCheckpointSeed = (input: Uint8Array): Uint8Array => hkdfSha256(input, 'hallpass/ledger/v1', 32);

/** The keys that come from `broker.secret`, or from the signer's key where there is none. */
export interface DerivedSecrets {
  readonly fingerprint: FingerprintKey;
  /** AES-256 key of lease handles. */
  readonly handle: Uint8Array;
  /** HMAC key of identities. */
  readonly identity: Uint8Array;
  /** HMAC key of an auditor's cursors. */
  readonly cursor: Uint8Array;
}

export interface FingerprintKey {
  readonly key: Uint8Array;
  /** The first 8 bytes of the key's SHA-256, base64url. */
  readonly id: string;
}

export function deriveSecrets(input: Uint8Array): DerivedSecrets {
  const key = hkdfSha256(input, 'hallpass/fingerprint/v1', 32);
  return {
    fingerprint: { key, id: toBase64Url(sha256(key).subarray(0, 8)) },
    handle: hkdfSha256(input, 'hallpass/handle/v1', 32),
    identity: hkdfSha256(input, 'hallpass/identity/v1', 32),
    cursor: hkdfSha256(input, 'hallpass/cursor/v1', 32),
  };
}

/** What a record says of a secret: `hmac-sha256:` and the base64url of the HMAC over its UTF-8 bytes. */
export const fingerprint = ({ key }: FingerprintKey, value: Secret): string =>
  `hmac-sha256:${toBase64Url(hmacSha256(key, value.reveal()))}`;
