import type { Deadline } from '../../lib/deadline.ts';
import { Secret } from '../../lib/secret.ts';
import { instant, parseDuration } from '../../lib/time.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { readAccessToken } from '../../sessions/google/answer.ts';
import { type CallGoogle, googleCaller } from '../../sessions/google/call.ts';
import { putBoundary } from '../../sessions/google/downscope.ts';
import { googleLogin } from '../../sessions/google/login.ts';
import type { Session } from '../../sessions/session.ts';
import { accountOf } from '../account.ts';
import type { GoogleTokenConfig } from '../google-token.ts';
import type { KindDeps, ReadCredential } from '../kind.ts';
import { atTarget } from '../target-error.ts';

/** Seconds; the longest that needs no organisation policy. */
const usual = 3600;

export function open(config: GoogleTokenConfig, deps: KindDeps): ReadCredential {
  const { provider, sts, boundary } = config;
  const call = googleCaller(googleLogin({ provider, sts }, deps), deps);

  async function tokenFor(id: string, seconds: number, deadline: Deadline): Promise<Session<string>> {
    const whole = await generate(config, { id, seconds, now: deps.now(), deadline }, call);
    return boundary === undefined ? whole : putBoundary(boundary, whole, { ...deps, sts }, deadline);
  }

  return {
    made: 'read',
    maxTtl: config.ttl === undefined ? usual : (parseDuration(config.ttl) as number),
    account: accountOf,
    read: ({ id, ttl, expiresAt, deadline }) =>
      atTarget({ kind: 'google-token', ...deps }, async () => {
        const { value, expiresAt: until } = await tokenFor(id, Math.max(ttl, 1), deadline);
        if (until <= deps.now())
          throw new UpstreamError('unreachable', { step: 'impersonate', reason: 'session_over' });
        return {
          data: { accessToken: value, tokenType: 'Bearer', expiresOn: instant(until) },
          fingerprinted: new Secret(value),
          ...(until < expiresAt && { expiresAt: until }),
        };
      }),
  };
}

interface Asked {
  readonly id: string;
  readonly seconds: number;
  readonly now: number;
  readonly deadline: Deadline;
}

/** `generateAccessToken` of IAM Credentials; its audit log shows the reason, which is the issuance. */
async function generate(
  { account, scopes, delegates, iam = 'https://iamcredentials.googleapis.com' }: GoogleTokenConfig,
  { id, seconds, now, deadline }: Asked,
  call: CallGoogle,
): Promise<Session<string>> {
  const step = 'impersonate';
  const answer = await call({
    step,
    method: 'POST',
    url: `${iam}/v1/projects/-/serviceAccounts/${encodeURIComponent(account)}:generateAccessToken`,
    headers: { 'x-goog-request-reason': accountOf(id) },
    body: JSON.stringify({
      scope: scopes,
      lifetime: `${seconds}s`,
      ...(delegates && { delegates: delegates.map((one) => `projects/-/serviceAccounts/${one}`) }),
    }),
    deadline,
  });
  return readAccessToken(answer, step, now + seconds * 1000);
}
