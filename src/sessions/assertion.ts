import { canonicalJson } from '../lib/canonical-json.ts';
import type { Mint } from '../lib/mint.ts';
import { Refusal } from '../lib/refusal.ts';
import type { AssertionTerms } from './session.ts';

/** What one assertion is made of; with the store's terms it says every member that is signed. */
export interface AssertionRequest {
  /** The signing ledger's `broker.url`. */
  readonly issuer: string;
  /** The store's name in the config, or the credential's. */
  readonly store: string;
  /** The issuance that a credential logs in for. */
  readonly issuance?: string | undefined;
  /** `writer.name` of its `session` record: the broker that logs in. */
  readonly writer: string;
  /** The record's id. */
  readonly session: string;
  /** Seconds since the epoch. */
  readonly iat: number;
  readonly alg: string;
}

/** How much older or younger than its record an assertion may say it is, seconds. */
const longestWait = 30;
/** Google takes a subject of 127 bytes at most. */
const maxSubject = 127;

/** `broker:<host of the broker's URL>`, port included: who logs in, as the other side's trust names it. @throws Refusal */
export function subjectOf(writer: string): string {
  // A URI without a host is as good a name as any other text, and none but its own.
  const host = (URL.canParse(writer) && new URL(writer).host) || writer;
  const subject = `broker:${host}`;
  if (subject.length > maxSubject || !/^[\x21-\x7e]+$/.test(subject)) throw new Refusal('denied', 'session_subject');
  return subject;
}

/** Exactly what is to be signed. */
export function writeAssertion(terms: AssertionTerms, request: AssertionRequest): Mint {
  const { issuer, store, issuance, writer, session, iat, alg } = request;
  const sub = subjectOf(writer);
  const more = terms.claims?.({ store, session, subject: sub, ...(issuance !== undefined && { issuance }) }) ?? {};
  const own = { iss: issuer, sub, aud: terms.audience, iat, nbf: iat, exp: iat + terms.ttl, jti: session };
  return { use: 'session', alg, claims: { ...more, ...own } };
}

/** Ledger's side. @throws Refusal denied unless `mint` is what its own config would have had signed for this record */
export function checkAssertion(
  mint: Mint,
  terms: AssertionTerms,
  { time, ...request }: Omit<AssertionRequest, 'iat' | 'alg'> & { readonly time: number },
): void {
  const iat = mint.claims?.iat;
  const takes = terms.algorithms.find((alg) => alg === mint.alg);
  if (typeof iat !== 'number' || takes === undefined) throw new Refusal('denied', 'mint');
  const timely = Number.isSafeInteger(iat) && Math.abs(Math.floor(time / 1000) - iat) <= longestWait;
  const expected = writeAssertion(terms, { ...request, iat, alg: takes });
  if (!timely || canonicalJson({ ...mint }) !== canonicalJson({ ...expected })) throw new Refusal('denied', 'mint');
}
