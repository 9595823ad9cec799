import { checkToken, type Trust } from '../federation.ts';
import type { FakeAnswer, FakeCall } from '../server.ts';
import { ok, refuse, type TokenBook, upstreamWords } from './answers.ts';

const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const tokenType = 'urn:ietf:params:oauth:token-type';
const scope = 'https://www.googleapis.com/auth/cloud-platform';

const oauthError = (error: string): FakeAnswer => ({
  ...ok({ error, error_description: upstreamWords }),
  status: 400,
});

/** The Security Token Service: takes what the pool's provider trusts, for that provider alone. */
export async function answerSts(call: FakeCall, provider: string, trust: readonly Trust[], tokens: TokenBook) {
  const form = new URLSearchParams(call.body);
  if (call.headers['content-type'] !== 'application/x-www-form-urlencoded') return oauthError('invalid_request');
  if (form.get('grant_type') !== exchange) return oauthError('unsupported_grant_type');
  if (form.get('audience') !== `//iam.googleapis.com/${provider}`) return oauthError('invalid_target');
  if (form.get('scope') !== scope || form.get('subject_token_type') !== `${tokenType}:jwt`)
    return oauthError('invalid_request');
  const checked = await checkToken(form.get('subject_token') ?? '', trust);
  if ('fault' in checked) return oauthError('invalid_grant');
  return ok({
    access_token: tokens.give(`principal:${checked.claims.sub}`, 3600),
    issued_token_type: `${tokenType}:access_token`,
    token_type: 'Bearer',
    expires_in: 3600,
  });
}

/** IAM Credentials: `generateAccessToken` for the accounts that may be acted as. */
export function answerIam(call: FakeCall, accounts: ReadonlySet<string>, tokens: TokenBook, now: number): FakeAnswer {
  const [, email = ''] =
    /^\/v1\/projects\/-\/serviceAccounts\/([^/:]+):generateAccessToken$/.exec(decodeURIComponent(call.url.pathname)) ??
    [];
  if (!accounts.has(email)) return refuse('PERMISSION_DENIED', 'IAM_PERMISSION_DENIED');
  const json = JSON.parse(call.body) as { lifetime?: string; scope?: string[] };
  const seconds = Number.parseInt(json.lifetime ?? '3600s', 10);
  if (!(seconds > 0 && seconds <= 3600) || json.scope?.[0] !== scope) return refuse('INVALID_ARGUMENT');
  const expireTime = new Date(now + seconds * 1000).toISOString();
  return ok({ accessToken: tokens.give(email, seconds), expireTime });
}

const base = '/computeMetadata/v1/instance/service-accounts/default';
const flavour = { 'metadata-flavor': 'Google' };

/** The metadata server, as it is on the platform's own network. */
export function answerMetadata({ url, headers }: FakeCall, tokens: TokenBook, now: number): FakeAnswer | undefined {
  if (!url.pathname.startsWith('/computeMetadata/')) return undefined;
  if (headers['metadata-flavor'] !== 'Google') return { status: 403, headers: flavour, body: upstreamWords };
  if (url.pathname === `${base}/token`)
    return ok({ access_token: tokens.give('default', 3600), expires_in: 3600, token_type: 'Bearer' }, flavour);
  if (url.pathname !== `${base}/identity` || url.searchParams.get('format') !== 'full')
    return { status: 404, headers: flavour, body: upstreamWords };
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const iat = Math.floor(now / 1000);
  const claims = {
    iss: 'https://accounts.google.com',
    aud: url.searchParams.get('audience'),
    sub: '1',
    iat,
    exp: iat + 3600,
  };
  const body = `${part({ alg: 'RS256', kid: 'fake', typ: 'JWT' })}.${part(claims)}.${part('not a signature')}`;
  return { status: 200, headers: flavour, body };
}
