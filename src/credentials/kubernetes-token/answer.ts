import { fromBase64Url } from '../../lib/bytes.ts';
import { isJsonObject, type Json, type JsonObject, parseStrictJsonObject } from '../../lib/strict-json.ts';
import { UpstreamError } from '../../lib/upstream.ts';

export interface Asked {
  readonly subject: string;
  readonly audiences: readonly string[];
  /** The longest it may live. */
  readonly seconds: number;
  /** Milliseconds. */
  readonly now: number;
}

export interface ServiceAccountToken {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly endsAt: number;
  /** `jti`, by which the API server's own audit log knows it; older ones write none. */
  readonly id?: string;
}

/**
 * The token of a TokenRequest's answer, when it is what was asked for: this service account's, for these audiences, and
 * for no longer. Its signature is for its receivers to check.
 *
 * @throws UpstreamError unexpected_answer, other_token, lives_too_long
 */
export function readToken({ status }: JsonObject, { subject, audiences, seconds, now }: Asked): ServiceAccountToken {
  const token = isJsonObject(status) ? status.token : undefined;
  if (typeof token !== 'string' || !/^[\w-]{1,4096}\.[\w-]{1,8192}\.[\w-]{1,4096}$/.test(token))
    throw refuse('unexpected_answer');
  const { sub, aud, iat, exp, jti } = claimsOf(token);
  if (typeof iat !== 'number' || typeof exp !== 'number' || exp * 1000 <= now) throw refuse('unexpected_answer');
  if (sub !== subject || !isSameSet(aud, audiences)) throw refuse('other_token');
  if (exp - iat > seconds) throw refuse('lives_too_long');
  const id = typeof jti === 'string' && /^[\w-]{1,128}$/.test(jti) ? jti : undefined;
  return { token, endsAt: exp * 1000, ...(id !== undefined && { id }) };
}

function claimsOf(token: string): JsonObject {
  try {
    return parseStrictJsonObject(fromBase64Url(token.split('.')[1] ?? '') ?? '');
  } catch {
    throw refuse('unexpected_answer');
  }
}

function isSameSet(given: Json | undefined, asked: readonly string[]): boolean {
  const all = new Set([given].flat());
  return all.size === new Set(asked).size && asked.every((audience) => all.has(audience));
}

const refuse = (reason: string) => new UpstreamError('unreachable', { step: 'token', reason });
