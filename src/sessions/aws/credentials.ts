import type { JsonObject } from '../../lib/strict-json.ts';
import { parseInstant } from '../../lib/time.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import type { Session } from '../session.ts';

/** Credentials of a session: always with a session token, as a key without one lives long. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

const parts = {
  accessKeyId: /^\w{16,128}$/,
  secretAccessKey: /^[\x21-\x7e]{1,256}$/,
  sessionToken: /^[\x21-\x7e]{1,16384}$/,
} as const;

/** Credentials that fit into headers as they are, and their end. @throws UpstreamError unreachable, not_understood */
export function checkSession(found: Record<keyof AwsCredentials, unknown>, until: unknown, step: string) {
  const { accessKeyId, secretAccessKey, sessionToken } = found;
  const expiresAt = typeof until === 'string' ? parseInstant(until) : undefined;
  if (
    !fits(accessKeyId, parts.accessKeyId) ||
    !fits(secretAccessKey, parts.secretAccessKey) ||
    !fits(sessionToken, parts.sessionToken) ||
    expiresAt === undefined
  )
    throw new UpstreamError('unreachable', { step, reason: 'not_understood' });
  return { value: { accessKeyId, secretAccessKey, sessionToken }, expiresAt } satisfies Session<AwsCredentials>;
}

const fits = (text: unknown, pattern: RegExp): text is string => typeof text === 'string' && pattern.test(text);

/** The JSON in which containers and instances are given their credentials. @throws UpstreamError */
export const readCredentials = (answer: JsonObject, step: string): Session<AwsCredentials> =>
  checkSession(
    { accessKeyId: answer.AccessKeyId, secretAccessKey: answer.SecretAccessKey, sessionToken: answer.Token },
    answer.Expiration,
    step,
  );
