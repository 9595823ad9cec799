/** JWS algorithms a workload token may be signed with; no symmetric one exists here (RFC 8725 section 3.1). */
export type Algorithm = 'RS256' | 'ES256' | 'ES384' | 'EdDSA';

interface AlgorithmTraits {
  readonly kty: 'RSA' | 'EC' | 'OKP';
  readonly crv?: string;
  /** Of node:crypto; EdDSA hashes by itself. */
  readonly hash: string | null;
  /** Bytes of a signature, where the algorithm alone says it. */
  readonly signatureBytes?: number;
}

export const algorithms: Readonly<Record<Algorithm, AlgorithmTraits>> = {
  RS256: { kty: 'RSA', hash: 'sha256' },
  ES256: { kty: 'EC', crv: 'P-256', hash: 'sha256', signatureBytes: 64 },
  ES384: { kty: 'EC', crv: 'P-384', hash: 'sha384', signatureBytes: 96 },
  EdDSA: { kty: 'OKP', crv: 'Ed25519', hash: null, signatureBytes: 64 },
};

export const algorithmNames = Object.keys(algorithms) as Algorithm[];

/** The one algorithm a key of this type and curve is for; undefined for any we do not verify. */
export const algorithmFor = (kty: unknown, crv: unknown): Algorithm | undefined =>
  algorithmNames.find((name) => algorithms[name].kty === kty && algorithms[name].crv === crv);

/** What a key or a token calls its algorithm, by our name for it: RFC 9864 renames EdDSA over Ed25519, the only one here. */
export const algorithmNamed = (name: string): string => (name === 'Ed25519' ? 'EdDSA' : name);
