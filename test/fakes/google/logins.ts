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

/** The Security Token Service: takes what the pool's provider trusts, for that provider alone, and puts boundaries on tokens. */
export async function answerSts(call: FakeCall, provider: string, trust: readonly Trust[], tokens: TokenBook) {
  const form = new URLSearchParams(call.body);
  const { headers, method } = call;
  if (method !== 'POST' || headers['content-type'] !== 'application/x-www-form-urlencoded')
    return oauthError('invalid_request');
  // It says of itself that a request may fail with one.
  if (headers.authorization !== undefined) return oauthError('invalid_request');
  if (form.get('grant_type') !== exchange) return oauthError('unsupported_grant_type');
  if (form.get('requested_token_type') !== `${tokenType}:access_token`) return oauthError('invalid_request');
  if (form.get('subject_token_type') === `${tokenType}:access_token`) return putBoundary(form, tokens);
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

/** A token whose holder is `<who it was> within <the rules>`; it ends with the one it was made of. */
function putBoundary(form: URLSearchParams, tokens: TokenBook): FakeAnswer {
  const token = form.get('subject_token') ?? '';
  const holder = tokens.holder(`Bearer ${token}`);
  const options = JSON.parse(form.get('options') ?? '{}') as { accessBoundary?: { accessBoundaryRules?: object[] } };
  const { accessBoundaryRules: rules, ...more } = options.accessBoundary ?? {};
  const fine = Array.isArray(rules) && rules.length > 0 && rules.length <= 10 && rules.every(isRule);
  if (!fine || Object.keys(more).length > 0 || [...form.keys()].length !== 5) return oauthError('invalid_request');
  if (holder === undefined) return oauthError('invalid_grant');
  const seconds = tokens.left(token);
  return ok({
    access_token: tokens.give(`${holder} within ${JSON.stringify(rules)}`, seconds),
    issued_token_type: `${tokenType}:access_token`,
    token_type: 'Bearer',
    expires_in: Math.floor(seconds),
  });
}

function isRule(rule: object): boolean {
  const { availableResource, availablePermissions, availabilityCondition, ...more } = rule as Record<string, unknown>;
  if (Object.keys(more).length > 0 || !Array.isArray(availablePermissions) || availablePermissions.length === 0)
    return false;
  const isCondition = availabilityCondition === undefined || 'expression' in (availabilityCondition as object);
  return isCondition && /^\/\/storage\.googleapis\.com\/projects\/_\/buckets\//.test(String(availableResource));
}

/** What a token of a service account was asked for with. */
export interface Generated {
  readonly account: string;
  /** Whose token asked for it. */
  readonly by: string;
  readonly scopes: readonly string[];
  readonly seconds: number;
  readonly delegates: readonly string[];
  /** `x-goog-request-reason`, as the audit log shows it. */
  readonly reason: string | undefined;
}

export interface FakeIam {
  /** Service accounts that whoever is logged in may act as. */
  readonly accounts: ReadonlySet<string>;
  /** Those whose tokens an organisation lets live for twelve hours. */
  readonly lasting: ReadonlySet<string>;
  readonly generated: Generated[];
}

/** IAM Credentials: `generateAccessToken` for the accounts that may be acted as, one through the other. */
export function answerIam(call: FakeCall, by: string, iam: FakeIam, tokens: TokenBook, now: number): FakeAnswer {
  const [, account = ''] =
    /^\/v1\/projects\/-\/serviceAccounts\/([^/:]+):generateAccessToken$/.exec(decodeURIComponent(call.url.pathname)) ??
    [];
  const {
    scope: scopes,
    lifetime = '3600s',
    delegates = [],
    ...more
  } = JSON.parse(call.body) as Record<string, unknown>;
  const isScopes = Array.isArray(scopes) && scopes.length > 0 && scopes.every((one) => typeof one === 'string' && one);
  const seconds = /^[0-9]+s$/.test(String(lifetime)) ? Number.parseInt(String(lifetime), 10) : 0;
  const most = iam.lasting.has(account) ? 43_200 : 3600;
  const isJson = call.method === 'POST' && call.headers['content-type'] === 'application/json';
  if (!isJson || !isScopes || Object.keys(more).length > 0 || !(seconds > 0 && seconds <= most))
    return refuse('INVALID_ARGUMENT');
  const through = (delegates as string[]).map((name) => /^projects\/-\/serviceAccounts\/(.+)$/.exec(name)?.[1] ?? '');
  if (![account, ...through].every((one) => iam.accounts.has(one)))
    return refuse('PERMISSION_DENIED', 'IAM_PERMISSION_DENIED');
  const reason = call.headers['x-goog-request-reason'] as string | undefined;
  iam.generated.push({ account, by, scopes, seconds, delegates: through, reason });
  const expireTime = new Date(now + seconds * 1000).toISOString();
  return ok({ accessToken: tokens.give(account, seconds), expireTime });
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
