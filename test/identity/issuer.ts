import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createVerifier, presetOf, type Verifier, type VerifierOptions } from '../../src/identity/index.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { Identity } from '../../src/lib/identity.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { takeRsaPair } from '../support/rsa.ts';

/** A made-up issuer for tests: keys of this run, tokens of any shape, also of shapes no issuer would sign. */
export const audience = 'https://pass.example.com';
export const issuerUrl = 'https://issuer.example';
/** 2026-11-22T12:00:00Z, in seconds. */
export const nowSeconds = 1_795_348_800;

export type TestAlgorithm = 'RS256' | 'ES256' | 'ES384' | 'EdDSA';

export interface TestKey {
  readonly kid: string;
  readonly alg: TestAlgorithm;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly jwk: Record<string, unknown>;
}

const hashes = { RS256: 'sha256', ES256: 'sha256', ES384: 'sha384', EdDSA: null } as const;

export function makeKey(alg: TestAlgorithm, kid: string): TestKey {
  const pair =
    alg === 'RS256'
      ? takeRsaPair()
      : alg === 'EdDSA'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('ec', { namedCurve: alg === 'ES256' ? 'P-256' : 'P-384' });
  return { ...pair, kid, alg, jwk: { ...pair.publicKey.export({ format: 'jwk' }), kid } };
}

export const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A claim set every generic issuer of these tests accepts. */
export const goodClaims = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  iss: issuerUrl,
  sub: 'checkout',
  aud: audience,
  iat: nowSeconds - 10,
  exp: nowSeconds + 600,
  jti: 'jti-1',
  ...changes,
});

export const goodHeader = (key: TestKey, changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  alg: key.alg,
  kid: key.kid,
  typ: 'JWT',
  ...changes,
});

/** Signs with the key whatever the header says; `header` and `claims` may be the JSON text itself. */
export function makeToken(key: TestKey, claims: unknown = goodClaims(), header: unknown = goodHeader(key)): string {
  return signText(key, `${encode(header)}.${encode(claims)}`);
}

export const signText = (key: TestKey, signed: string): string =>
  `${signed}.${signatureOf(key, signed).toString('base64url')}`;

export function signatureOf(key: TestKey, signed: string): Buffer {
  const { privateKey } = key;
  const ecdsa = key.alg === 'ES256' || key.alg === 'ES384';
  return sign(
    hashes[key.alg],
    Buffer.from(signed),
    ecdsa ? { key: privateKey, dsaEncoding: 'ieee-p1363' } : privateKey,
  );
}

export const genericIssuer = (...keys: TestKey[]): Record<string, unknown> => ({
  issuer: issuerUrl,
  jwks: { keys: keys.map(({ jwk }) => jwk) },
});

export const noDeadline = deadlineIn(3_600_000, Date.now);

export const noFetch = async (): Promise<Response> => {
  throw new Error('nothing may be fetched');
};

export function verifierOf(issuers: Record<string, unknown>, options: Partial<VerifierOptions> = {}): Verifier {
  for (const [name, config] of Object.entries(issuers)) {
    const faults = presetOf(config)?.check(config) ?? [{ message: 'unknown preset' }];
    if (faults.length > 0) throw new Error(`${name}: ${JSON.stringify(faults)}`);
  }
  return createVerifier({
    issuers,
    audience,
    now: () => nowSeconds * 1000,
    fetch: noFetch,
    log: () => {},
    limits: { tokenBytes: 16_384, jwksMs: 2_000 },
    ...options,
  });
}

/** The identity, or `code: reason` of the Refusal; any other error is thrown on. */
export async function outcome(verifier: Verifier, token: string, deadline = noDeadline): Promise<Identity | string> {
  try {
    return await verifier.verify(token, deadline);
  } catch (error) {
    if (error instanceof Refusal) return `${error.code}: ${error.reason}`;
    throw error;
  }
}
