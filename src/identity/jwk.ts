import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { fromBase64Url, sha256, toBase64Url, toHex } from '../lib/bytes.ts';
import { canonicalJson } from '../lib/canonical-json.ts';
import { isJsonObject, type JsonObject } from '../lib/strict-json.ts';
import { type Algorithm, algorithmFor, algorithmNamed, algorithms } from './algorithms.ts';
import { hasRocaFingerprint, hasSmallOrder } from './weak-keys.ts';

/** A key an issuer signs with; its algorithm was fixed when it was loaded. */
export interface VerificationKey {
  readonly kid: string;
  readonly alg: Algorithm;
  readonly key: KeyObject;
  readonly thumbprint: string;
}

/** Why a key of a set is not used, in fixed words; `at` is its place in the set. */
export interface RefusedKey {
  readonly at: number;
  readonly kid?: string;
  readonly problem: string;
}

/** `use` of the keys that are meant: those of a SPIFFE bundle say for which kind of document they are. */
export type KeyUse = 'sig' | 'jwt-svid';

export interface KeySet {
  readonly keys: ReadonlyMap<string, VerificationKey>;
  readonly refused: readonly RefusedKey[];
}

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
const longestKid = 256;

/**
 * Reads the `keys` of a JWK set (RFC 7517 section 5): each key is used or refused by itself, so one bad key costs no
 * good one. Two different keys under one kid are both refused: which is meant cannot be known. Keys of a SPIFFE bundle for
 * other documents are no fault and are passed over (SPIFFE Trust Domain and Bundle, section 4.2.2).
 */
export function readKeySet(jwks: readonly unknown[], use: KeyUse = 'sig'): KeySet {
  const keys = new Map<string, VerificationKey>();
  const places = new Map<string, number>();
  const refused: RefusedKey[] = [];
  for (const [at, jwk] of jwks.entries()) {
    if (use === 'jwt-svid' && isJsonObject(jwk) && jwk.use !== use) continue;
    const key = readKey(jwk, use);
    if (typeof key === 'string') {
      refused.push({ at, ...kidOf(jwk), problem: key });
      continue;
    }
    const first = places.get(key.kid);
    if (first === undefined) {
      places.set(key.kid, at);
      keys.set(key.kid, key);
    } else if (keys.get(key.kid)?.thumbprint !== key.thumbprint) {
      const problem = 'another key of the set has the same kid';
      if (keys.delete(key.kid)) refused.push({ at: first, kid: key.kid, problem });
      refused.push({ at, kid: key.kid, problem });
    }
  }
  return { keys, refused };
}

/** One public JWK, or why it is not used. */
export function readKey(jwk: unknown, use: KeyUse = 'sig'): VerificationKey | string {
  if (!isJsonObject(jwk)) return 'a key is a JSON object';
  if (jwk.kty === 'oct') return 'a symmetric key cannot verify workload tokens';
  if (privateMembers.some((member) => jwk[member] !== undefined)) return 'a key set holds public keys only';
  const alg = algorithmFor(jwk.kty, jwk.crv);
  if (alg === undefined) return 'only RSA, P-256, P-384 and Ed25519 keys are used';
  const problem = purposeProblem(jwk, alg, use) ?? (alg === 'RS256' ? rsaProblem(jwk) : curveProblem(jwk, alg));
  if (problem !== undefined) return problem;
  const thumbprint = thumbprintOf(jwk, alg);
  const kid = jwk.kid === undefined ? thumbprint : jwk.kid;
  if (typeof kid !== 'string' || kid === '' || kid.length > longestKid)
    return 'a kid is a string of 1 to 256 characters';
  try {
    return { kid, alg, thumbprint, key: createPublicKey({ key: publicPart(jwk, alg), format: 'jwk' }) };
  } catch {
    return 'not a point on its curve';
  }
}

function purposeProblem(jwk: JsonObject, alg: Algorithm, use: KeyUse): string | undefined {
  if (jwk.use !== undefined && jwk.use !== use) return `its use is not ${use}`;
  const ops = jwk.key_ops;
  if (ops !== undefined && !(Array.isArray(ops) && ops.includes('verify'))) return 'its key_ops lack verify';
  const named = jwk.alg;
  if (named !== undefined && (typeof named !== 'string' || algorithmNamed(named) !== alg))
    return `its alg is not ${alg}`;
  return undefined;
}

function rsaProblem(jwk: JsonObject): string | undefined {
  const n = numberOf(jwk.n);
  const e = numberOf(jwk.e);
  if (n === undefined || e === undefined) return 'n and e are base64url numbers';
  const bits = n.toString(2).length;
  if (bits < 2048) return 'an RSA key has at least 2048 bits';
  if (bits > 8192) return 'an RSA key has at most 8192 bits';
  if (e < 65537n || e % 2n === 0n || e >= 2n ** 64n) return 'an RSA exponent is odd and at least 65537';
  if (n % 2n === 0n) return 'an RSA modulus is odd';
  if (hasRocaFingerprint(n)) return 'the modulus shows ROCA (CVE-2017-15361)';
  return undefined;
}

function curveProblem(jwk: JsonObject, alg: Algorithm): string | undefined {
  const size = (algorithms[alg].signatureBytes ?? 0) / 2;
  const coordinates = alg === 'EdDSA' ? ['x'] : ['x', 'y'];
  for (const coordinate of coordinates) {
    if (bytesOf(jwk[coordinate])?.length !== size) return `${coordinate} is base64url of ${size} bytes`;
  }
  if (alg === 'EdDSA' && hasSmallOrder(bytesOf(jwk.x) as Uint8Array)) return 'a point of small order';
  return undefined;
}

const required = { RSA: ['e', 'kty', 'n'], EC: ['crv', 'kty', 'x', 'y'], OKP: ['crv', 'kty', 'x'] } as const;

const publicPart = (jwk: JsonObject, alg: Algorithm): JsonWebKey =>
  Object.fromEntries(required[algorithms[alg].kty].map((member) => [member, jwk[member]]));

/** RFC 7638, SHA-256. */
const thumbprintOf = (jwk: JsonObject, alg: Algorithm): string =>
  toBase64Url(sha256(canonicalJson(publicPart(jwk, alg) as JsonObject)));

const bytesOf = (value: unknown) => (typeof value === 'string' ? fromBase64Url(value) : undefined);

function numberOf(value: unknown): bigint | undefined {
  const bytes = bytesOf(value);
  return bytes === undefined || bytes.length === 0 || bytes.length > 1100 ? undefined : BigInt(`0x${toHex(bytes)}`);
}

const kidOf = (jwk: unknown) =>
  isJsonObject(jwk) && typeof jwk.kid === 'string' ? { kid: jwk.kid.slice(0, longestKid) } : {};
