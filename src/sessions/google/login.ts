import type { Deadline } from '../../lib/deadline.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { askJson, UpstreamError } from '../../lib/upstream.ts';
import { keepSession, type Session, type SessionDeps, type SessionKeeper } from '../session.ts';
import { readAccessToken, readToken, refusedLogin } from './answer.ts';
import { googleCode } from './error.ts';
import { metadataToken } from './metadata.ts';

/** How to get an access token. A service account's JSON key is never read, wherever the environment names one. */
export interface GoogleLogin {
  /** `projects/N/locations/global/workloadIdentityPools/P/providers/X`; absent: by the platform's own identity. */
  readonly provider?: string | undefined;
  /** The service account to act as; absent: as the federated identity, or the platform's, itself. */
  readonly account?: string | undefined;
  /** In place of `https://sts.googleapis.com`. */
  readonly sts?: string | undefined;
  /** In place of `https://iamcredentials.googleapis.com`. */
  readonly iam?: string | undefined;
}

const scope = 'https://www.googleapis.com/auth/cloud-platform';
const type = 'urn:ietf:params:oauth:token-type';
/** Seconds; the longest that needs no organisation policy. */
const lifetime = 3600;

/**
 * Keeps an access token for Google's APIs: our assertion exchanged at the Security Token Service (RFC 8693), or the
 * metadata server's; then, for an `account`, traded for one of its own.
 */
export function googleLogin(how: GoogleLogin, deps: SessionDeps): SessionKeeper<string> {
  const begin = (deadline: Deadline) =>
    how.provider === undefined ? metadataToken(deps, deadline) : exchange(how.provider, how, deps, deadline);
  const login = async (deadline: Deadline): Promise<Session<string>> => {
    const first = await begin(deadline);
    return how.account === undefined ? first : impersonate(how.account, first.value, how, deps, deadline);
  };
  return keepSession(login, deps.now);
}

async function exchange(
  provider: string,
  { sts = 'https://sts.googleapis.com' }: GoogleLogin,
  { assert, fetch, now, step: tell }: SessionDeps,
  deadline: Deadline,
): Promise<Session<string>> {
  if (assert === undefined) throw new UpstreamError('unreachable', { step: 'assertion', reason: 'no_signer' });
  tell?.('assertion');
  const assertion = await assert(deadline);
  const step = 'exchange';
  tell?.(step);
  const body = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    audience: `//iam.googleapis.com/${provider}`,
    scope,
    requested_token_type: `${type}:access_token`,
    subject_token: assertion,
    subject_token_type: `${type}:jwt`,
  });
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const init = { method: 'POST', headers, body: body.toString() };
  const codeOf = ({ error }: JsonObject) => error;
  const answer = await askJson(fetch, `${sts}/v1/token`, init, { step, deadline, codeOf, faultOf: refusedLogin });
  return readToken(answer, step, now());
}

async function impersonate(
  account: string,
  token: string,
  { iam = 'https://iamcredentials.googleapis.com' }: GoogleLogin,
  { fetch, now, step: tell }: SessionDeps,
  deadline: Deadline,
): Promise<Session<string>> {
  const step = 'impersonate';
  tell?.(step);
  const url = `${iam}/v1/projects/-/serviceAccounts/${encodeURIComponent(account)}:generateAccessToken`;
  const init = {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ scope: [scope], lifetime: `${lifetime}s` }),
  };
  const at = now();
  const answer = await askJson(fetch, url, init, { step, deadline, codeOf: googleCode, faultOf: refusedLogin });
  return readAccessToken(answer, step, at + lifetime * 1000);
}
