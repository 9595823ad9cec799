import type { Deadline } from '../../lib/deadline.ts';
import { callHttp, HttpError } from '../../lib/http-client.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../lib/strict-json.ts';
import { fromHttpError, retryAfterOf, UpstreamError } from '../../lib/upstream.ts';
import type { Session, SessionDeps } from '../session.ts';
import { readToken, refusedLogin } from './answer.ts';

export type MetadataDeps = Pick<SessionDeps, 'env' | 'fetch' | 'now' | 'step'>;

const step = 'identity';

/** Set by Cloud Run, Cloud Functions, App Engine and (among others) GKE; a plain VM says so by GCE_METADATA_HOST. */
const hints = ['K_SERVICE', 'FUNCTION_TARGET', 'GAE_ENV', 'KUBERNETES_SERVICE_HOST'];

/** Whether the platform may have a metadata server; where nothing says so none is asked. */
export const hasMetadata = ({ env }: Pick<SessionDeps, 'env'>): boolean => hostOf(env) !== undefined;

function hostOf(env: SessionDeps['env']): string | undefined {
  const named = env.GCE_METADATA_HOST;
  if (named !== undefined && named !== '') return named;
  return hints.some((name) => (env[name] ?? '') !== '') ? 'metadata.google.internal' : undefined;
}

/** An access token of the service account the platform runs us as. @throws UpstreamError */
export async function metadataToken(deps: MetadataDeps, deadline: Deadline): Promise<Session<string>> {
  const bytes = await ask('token', deps, deadline);
  return readToken(jsonOf(bytes) ?? {}, step, deps.now());
}

/**
 * The platform's own ID token for an audience: what a function shows to a ledger elsewhere that trusts Google as an
 * issuer. Asked anew each time; the metadata server keeps one itself.
 *
 * @throws UpstreamError
 */
export async function googleIdentityToken(
  audience: string,
  deps: MetadataDeps,
  deadline: Deadline,
): Promise<Session<string>> {
  const bytes = await ask(`identity?audience=${encodeURIComponent(audience)}&format=full`, deps, deadline);
  const token = new TextDecoder().decode(bytes);
  const claims = /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)
    ? jsonOf(Buffer.from(token.split('.')[1] as string, 'base64url'))
    : undefined;
  if (claims === undefined || claims.aud !== audience || !Number.isSafeInteger(claims.exp))
    throw new UpstreamError('unreachable', { step, reason: 'bad_answer' });
  return { value: token, expiresAt: (claims.exp as number) * 1000 };
}

async function ask(what: string, { env, fetch, step: tell }: MetadataDeps, deadline: Deadline): Promise<Uint8Array> {
  tell?.(step);
  const host = hostOf(env);
  if (host === undefined) throw new UpstreamError('denied', { step, reason: 'no_ambient_identity' });
  if (!/^[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$|^\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?$/.test(host))
    throw new UpstreamError('unreachable', { step, reason: 'bad_variable' });
  const url = `http://${host}/computeMetadata/v1/instance/service-accounts/default/${what}`;
  const limits = { deadline, maxBytes: 64 * 1024 };
  const answer = await callHttp(fetch, url, { headers: { 'metadata-flavor': 'Google' } }, limits).catch((error) => {
    throw error instanceof HttpError ? fromHttpError(error, step) : error;
  });
  const { status } = answer;
  // Whatever else answers at that address (a captive portal, another cloud's) is not believed.
  if (answer.headers.get('metadata-flavor') !== 'Google')
    throw new UpstreamError('unreachable', { step, reason: 'not_a_metadata_server', status });
  if (status === 200) return answer.body;
  throw new UpstreamError(refusedLogin(status), { step, status, retryAfter: retryAfterOf(answer.headers) });
}

function jsonOf(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value = parseStrictJson(bytes);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
