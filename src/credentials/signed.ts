import { createPrivateKey, type KeyObject, sign, verify } from 'node:crypto';
import { canonicalJson } from '../lib/canonical-json.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Mint } from '../lib/mint.ts';
import type { Ref } from '../lib/ref.ts';
import { Refusal } from '../lib/refusal.ts';
import { parseInstant } from '../lib/time.ts';
import type { IssueRequest, KindDeps, MintFacts } from './kind.ts';

/** From when to when what is signed is good, seconds since the epoch. */
export interface Life {
  readonly from: number;
  readonly until: number;
}

/** Nothing revokes a certificate, so it lives an hour at most unless the config says otherwise; seconds. */
export const defaultMaxTtl = 3600;
/** How far behind the clock of who relies on it may be, seconds. */
const skew = 60;
/** How much older than its record a certificate may say it is, seconds: the record is written a moment after the decision. */
const longestWait = 60;

export const lifeFor = ({ now, expiresAt }: Pick<IssueRequest, 'now' | 'expiresAt'>): Life => ({
  from: Math.floor(now / 1000) - skew,
  until: Math.floor(expiresAt / 1000),
});

/** The same from a record, on the ledger's side. @throws Refusal denied for a life the record cannot have */
export function lifeIn({ lease, time }: MintFacts, maxTtl: number): Life {
  const until = Math.floor((parseInstant(lease.expiresAt) ?? Number.NaN) / 1000);
  const begin = until - lease.ttl;
  const age = Math.floor(time / 1000) - begin;
  const timely = lease.ttl > 0 && lease.ttl <= maxTtl && age >= 0 && age <= longestWait;
  if (!Number.isSafeInteger(begin) || !timely) throw unlike();
  return { from: begin - skew, until };
}

export const isSame = (a: Mint, b: Mint): boolean => canonicalJson({ ...a }) === canonicalJson({ ...b });

/** What is to be signed is not what this credential would have signed. */
export const unlike = () => new Refusal('denied', 'mint');

/** How a CA signs: ECDSA on P-256 with SHA-256, its signatures in DER, or Ed25519. */
export type AuthorityAlgorithm = 'ES256' | 'EdDSA';

const hashes = { ES256: 'sha256', EdDSA: null } as const;

/**
 * Signs with the key a REF leads to, read anew each time, so that none is kept. What the CA's own public key does not
 * verify is not given away. @throws Refusal store_failed `no_key`, `authority_key`; as the store does
 */
export async function signByRef(
  ref: Ref | undefined,
  { read }: Pick<KindDeps, 'read'>,
  { alg, data, deadline, publicKey, keyOf }: SignOptions,
): Promise<Uint8Array> {
  if (ref === undefined) throw new Refusal('store_failed', 'no_key');
  const { value, store } = await read(ref, deadline);
  try {
    const signature = sign(hashes[alg], data, keyOf(value.revealText()));
    if (verify(hashes[alg], data, publicKey, signature)) return signature;
  } catch {
    // What a parser says of a key may quote it.
  }
  throw new Refusal('store_failed', 'authority_key', { facts: { store } });
}

export interface SignOptions {
  readonly alg: AuthorityAlgorithm;
  readonly data: Uint8Array;
  readonly deadline: Deadline;
  /** The CA's. */
  readonly publicKey: KeyObject;
  /** Reads the stored text. @throws any error for a text that is no key */
  keyOf(text: string): KeyObject;
}

const pkcs8 = /^-----BEGIN PRIVATE KEY-----\r?\n[A-Za-z0-9+/=\r\n]+-----END PRIVATE KEY-----$/;

/** A PKCS#8 PEM and nothing else. @throws SyntaxError, or what node:crypto does */
export function pkcs8Key(text: string): KeyObject {
  const key = text.trim();
  if (!pkcs8.test(key)) throw new SyntaxError('no PKCS#8 PEM');
  return createPrivateKey({ key, format: 'pem' });
}
