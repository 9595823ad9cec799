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

  async function tokenFor(asked: Omit<Asked, 'now'>): Promise<Session<string>> {
    const { deadline } = asked;
    const whole = await generate(config, { ...asked, now: deps.now }, call);
    return boundary === undefined ? whole : putBoundary(boundary, whole, { ...deps, sts }, deadline);
  }

  return {
    made: 'read',
    maxTtl: config.ttl === undefined ? usual : (parseDuration(config.ttl) as number),
    account: accountOf,
    read: ({ id, ttl, expiresAt, deadline }) =>
      atTarget({ kind: 'google-token', ...deps }, async () => {
        const { value, expiresAt: until } = await tokenFor({ id, ttl, end: expiresAt, deadline });
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
  /** Seconds. */
  readonly ttl: number;
  /** Milliseconds. */
  readonly end: number;
  readonly now: () => number;
  readonly deadline: Deadline;
}

/** `generateAccessToken` of IAM Credentials; its audit log shows the reason, which is the issuance. */
async function generate(
  { account, scopes, delegates, iam = 'https://iamcredentials.googleapis.com' }: GoogleTokenConfig,
  { id, ttl, end, now, deadline }: Asked,
  call: CallGoogle,
): Promise<Session<string>> {
  const step = 'impersonate';
  let latest = 0;
  // It counts from when Google makes it: logging in to Google may have taken some of the lease's time.
  const body = () => {
    const at = now();
    const seconds = Math.min(ttl, Math.ceil((end - at) / 1000));
    if (seconds < 1) throw new UpstreamError('unreachable', { step, reason: 'session_over' });
    latest = at + seconds * 1000;
    return JSON.stringify({
      scope: scopes,
      lifetime: `${seconds}s`,
      ...(delegates && { delegates: delegates.map((one) => `projects/-/serviceAccounts/${one}`) }),
    });
  };
  const answer = await call({
    step,
    method: 'POST',
    url: `${iam}/v1/projects/-/serviceAccounts/${encodeURIComponent(account)}:generateAccessToken`,
    headers: { 'x-goog-request-reason': accountOf(id) },
    body,
    deadline,
  });
  return readAccessToken(answer, step, latest);
}
