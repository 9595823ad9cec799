import type { JsonObject } from '../../lib/strict-json.ts';
import { parseInstant } from '../../lib/time.ts';
import { UpstreamError, type UpstreamFault } from '../../lib/upstream.ts';
import type { Session } from '../session.ts';

/** What a refused login means: never that a secret is absent, which would be believed for a while. */
export function refusedLogin(status: number): UpstreamFault {
  if (status === 429) return 'throttled';
  return status >= 400 && status < 500 ? 'denied' : 'unreachable';
}

/** `access_token` and `expires_in` of RFC 6749 section 5.1. @throws UpstreamError */
export function readToken(body: JsonObject, step: string, now: number): Session<string> {
  const { access_token: token, expires_in: seconds, token_type: type } = body;
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer') throw badAnswer(step);
  if (typeof seconds !== 'number' || !(seconds > 0)) throw badAnswer(step);
  return { value: checkToken(token, step), expiresAt: now + Math.min(seconds, longest) * 1000 };
}

/** `accessToken` and `expireTime` of IAM Credentials; never longer than was asked for, however far its clock is from ours. @throws UpstreamError */
export function readAccessToken(body: JsonObject, step: string, latest: number): Session<string> {
  const until = typeof body.expireTime === 'string' ? parseInstant(body.expireTime) : undefined;
  if (until === undefined) throw badAnswer(step);
  return { value: checkToken(body.accessToken, step), expiresAt: Math.min(until, latest) };
}

/** Seconds; what no Google token outlives. */
export const longest = 12 * 3600;

/** A header made of anything else would fail with the token in its message. */
export function checkToken(token: unknown, step: string): string {
  if (typeof token !== 'string' || !/^[\x21-\x7e]{1,16384}$/.test(token)) throw badAnswer(step);
  return token;
}

export const badAnswer = (step: string) => new UpstreamError('unreachable', { step, reason: 'bad_answer' });
