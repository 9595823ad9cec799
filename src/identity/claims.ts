import type { JsonObject } from '../lib/strict-json.ts';
import type { TokenForm } from './preset.ts';
import type { TokenReason } from './refuse.ts';

/** Seconds that two clocks may differ by. */
const skew = 60;

export interface ClaimRules {
  readonly audience: string;
  /** Longest `exp - iat`, seconds. */
  readonly lifetime: number;
  readonly form: TokenForm;
}

/** What is wrong with the registered claims of a payload whose signature was good; undefined when nothing is. */
export function claimsFault(claims: JsonObject, rules: ClaimRules, now: number): TokenReason | undefined {
  const { aud, exp, iat: issuedAt, nbf, sub, jti } = claims;
  const seconds = Math.floor(now / 1000);
  if (!isAudience(aud, rules.audience)) return 'audience';
  // Where `iat` may be absent, it is what is left of the token's life that has a bound.
  const iat = issuedAt === undefined && !rules.form.issuedAtRequired ? Math.min(seconds, Number(exp) - 1) : issuedAt;
  if (!isInstant(exp) || !isInstant(iat)) return 'lifetime';
  if (nbf !== undefined && !isInstant(nbf)) return 'lifetime';
  if (exp <= seconds - skew) return 'expired';
  if (iat > seconds + skew || (nbf !== undefined && nbf > seconds + skew)) return 'not_yet';
  if (exp - iat <= 0 || exp - iat > rules.lifetime) return 'lifetime';
  if (!isSubject(sub, rules.form.longestSubject)) return 'subject';
  // A token bound to a key is not a bearer token (RFC 9449 section 6, RFC 8705 section 3).
  if (Object.hasOwn(claims, 'cnf')) return 'bound';
  // A logout or security event token proves no caller (RFC 8417 section 2.2, OIDC Back-Channel Logout section 2.4).
  if (Object.hasOwn(claims, 'events')) return 'claims';
  if (jti !== undefined && (typeof jti !== 'string' || jti === '')) return 'claims';
  return undefined;
}

// An array that names another service too would be good there as well (RFC 8725 section 3.9).
const isAudience = (aud: unknown, ours: string): boolean =>
  aud === ours || (Array.isArray(aud) && aud.length === 1 && aud[0] === ours);

const isInstant = (value: unknown): value is number => Number.isSafeInteger(value);

/** Printable ASCII characters without outer spaces; OIDC Core section 2 sets the length to 255. */
const isSubject = (sub: unknown, longest: number): boolean =>
  typeof sub === 'string' && sub.length <= longest && /^[\x20-\x7e]+$/.test(sub) && sub.trim() === sub;
