import { createPublicKey, generateKeyPairSync, type JsonWebKey, randomUUID, verify } from 'node:crypto';
import { signJwt } from '../../src/keys/jwt.ts';
import type { SigningKey } from '../../src/keys/keys.ts';
import { parsePrivateKey } from '../../src/keys/private-key.ts';
import { isJsonObject, type JsonObject, parseStrictJsonObject } from '../../src/lib/strict-json.ts';
import type { AssertionTerms } from '../../src/sessions/session.ts';
import { takeRsaPair } from '../support/rsa.ts';

/** Whom a fake cloud trusts, as the operator has set it up there. */
export interface Trust {
  readonly issuer: string;
  readonly audience: string;
  readonly subject: string;
  /** The issuer's keys; left out, they are fetched from its discovery document. */
  readonly keys?: readonly JsonWebKey[];
  /** What this cloud takes; default both. */
  readonly algorithms?: readonly ('ES256' | 'RS256')[];
}

/** Why a token was refused; each cloud has codes of its own for them. */
export type TokenFault = 'not_a_token' | 'untrusted' | 'expired' | 'algorithm' | 'unknown_key' | 'signature';

export type Checked = { readonly claims: JsonObject } | { readonly fault: TokenFault };

const checks = {
  RS256: { kty: 'RSA', options: {} },
  ES256: { kty: 'EC', options: { dsaEncoding: 'ieee-p1363' } },
} as const;

const isAlgorithm = (alg: unknown): alg is 'RS256' | 'ES256' => alg === 'RS256' || alg === 'ES256';

/** What a cloud checks of a foreign issuer's token, for real, before it trades it for its own. */
export async function checkToken(token: string, trusts: readonly Trust[], now = Date.now()): Promise<Checked> {
  const parts = token.split('.');
  const [header, claims] = parts.slice(0, 2).map(partOf);
  if (header === undefined || claims === undefined || parts.length !== 3) return { fault: 'not_a_token' };
  const trust = trusts.find(
    ({ issuer, audience, subject }) => claims.iss === issuer && claims.aud === audience && claims.sub === subject,
  );
  if (trust === undefined) return { fault: 'untrusted' };
  const { iat, nbf, exp } = claims;
  if (typeof iat !== 'number' || typeof nbf !== 'number' || typeof exp !== 'number') return { fault: 'not_a_token' };
  if (exp * 1000 <= now || nbf * 1000 > now + 60_000 || exp - iat > 300) return { fault: 'expired' };
  const { alg, kid } = header;
  if (!isAlgorithm(alg) || !(trust.algorithms ?? ['RS256', 'ES256']).includes(alg)) return { fault: 'algorithm' };
  const { kty, options } = checks[alg];
  const jwk = (trust.keys ?? (await keysOf(trust.issuer))).find((key) => key.kid === kid && key.kty === kty);
  if (jwk === undefined) return { fault: 'unknown_key' };
  const key = { key: createPublicKey({ key: jwk, format: 'jwk' }), ...options };
  const signature = Buffer.from(parts[2] as string, 'base64url');
  return verify('sha256', Buffer.from(`${parts[0]}.${parts[1]}`), key, signature) ? { claims } : { fault: 'signature' };
}

function partOf(text: string): JsonObject | undefined {
  try {
    return parseStrictJsonObject(Buffer.from(text, 'base64url'));
  } catch {
    return undefined;
  }
}

async function keysOf(issuer: string): Promise<JsonWebKey[]> {
  const get = async (url: string) => (await (await fetch(url)).json()) as Record<string, unknown>;
  const { jwks_uri } = await get(`${issuer}/.well-known/openid-configuration`);
  const { keys } = await get(String(jwks_uri));
  return Array.isArray(keys) ? keys.filter(isJsonObject) : [];
}

/** Hallpass as a cloud sees it: an issuer with a key of its own that signs assertions. */
export interface Asserter {
  readonly issuer: string;
  readonly subject: string;
  /** For `Trust.keys`, or a JWKS. */
  readonly keys: readonly JsonWebKey[];
  /** Assertions made so far, oldest first. */
  readonly made: readonly JsonObject[];
  /** An assertion by these terms; `changes` overrides claims, also with wrong ones. */
  assert(terms: AssertionTerms, changes?: JsonObject, issuance?: string): Promise<string>;
}

export interface AsserterOptions {
  readonly issuer?: string;
  readonly subject?: string;
  readonly algorithm?: 'ES256' | 'RS256';
  readonly now?: () => number;
  /** The store's name in the config, for claims made of it. */
  readonly store?: string;
}

export function makeAsserter(options: AsserterOptions = {}): Asserter {
  const { issuer = 'https://pass.example.com', subject = 'broker:pass.example.com', now = Date.now } = options;
  const key = makeSigningKey(options.algorithm ?? 'ES256');
  const made: JsonObject[] = [];
  return {
    issuer,
    subject,
    keys: [key.publicJwk as JsonWebKey],
    made,
    async assert(terms, changes = {}, issuance) {
      if (!terms.algorithms.includes(key.alg)) throw new Error(`${key.alg} is not what the other side takes`);
      const iat = Math.floor(now() / 1000);
      const session = randomUUID();
      const own =
        terms.claims?.({
          store: options.store ?? 'here',
          session,
          subject,
          ...(issuance !== undefined && { issuance }),
        }) ?? {};
      const times = { iat, nbf: iat, exp: iat + terms.ttl };
      const claims = { iss: issuer, sub: subject, aud: terms.audience, ...times, jti: session, ...own, ...changes };
      made.push(claims);
      return signJwt(key, claims);
    },
  };
}

function makeSigningKey(algorithm: 'ES256' | 'RS256'): SigningKey {
  const { privateKey } = algorithm === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : takeRsaPair();
  return parsePrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
}
