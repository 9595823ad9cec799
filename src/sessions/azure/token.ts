import type { JsonObject } from '../../lib/strict-json.ts';
import { type AskOptions, askJson, UpstreamError, type UpstreamFault } from '../../lib/upstream.ts';
import type { Session, SessionDeps } from '../session.ts';

/** What Entra's own codes say of a federated login, for the operator. */
const reasons: Readonly<Record<string, string>> = {
  AADSTS53003: 'conditional_access',
  AADSTS70011: 'invalid_scope',
  AADSTS90002: 'unknown_tenant',
  AADSTS500011: 'unknown_resource',
  AADSTS700016: 'unknown_client',
  AADSTS700024: 'clock_skew',
  AADSTS700027: 'untrusted_key',
  AADSTS700211: 'untrusted_issuer',
  AADSTS700212: 'untrusted_audience',
  AADSTS700213: 'untrusted_subject',
  AADSTS1002012: 'invalid_scope',
  AADSTS7000112: 'client_disabled',
};

/** A token lives no longer, seconds: a managed identity's lives for a day. */
const longest = 86_400;

/** An access token, from Entra or from a platform's managed identity. @throws UpstreamError */
export async function askToken(
  { fetch, now }: Pick<SessionDeps, 'fetch' | 'now'>,
  url: string,
  init: RequestInit,
  options: Pick<AskOptions, 'step' | 'deadline'>,
): Promise<Session<string>> {
  const asked = now();
  const answer = await askJson(fetch, url, init, { ...options, maxBytes: 64 * 1024, codeOf, faultOf }).catch(explain);
  const { access_token: value, token_type: type } = answer;
  const seconds = secondsOf(answer, asked);
  const fine = typeof value === 'string' && /^[\x21-\x7e]{1,16384}$/.test(value) && /^bearer$/i.test(String(type));
  if (!fine || seconds === undefined)
    throw new UpstreamError('unreachable', { step: options.step, reason: 'not_understood' });
  return { value, expiresAt: asked + Math.min(seconds, longest) * 1000 };
}

/** `AADSTS` and the number where there is one, else OAuth's own word. */
function codeOf({ error, error_codes: codes }: JsonObject): unknown {
  const first = Array.isArray(codes) ? codes[0] : undefined;
  return typeof first === 'number' ? `AADSTS${first}` : error;
}

/** Whatever is wrong with who we are (invalid_client, invalid_grant, invalid_resource), it is a no. */
const faultOf = (status: number): UpstreamFault | undefined =>
  status >= 400 && status < 500 && status !== 429 ? 'denied' : undefined;

function explain(error: unknown): never {
  if (!(error instanceof UpstreamError)) throw error;
  const { code = '' } = error.facts;
  if (!Object.hasOwn(reasons, code)) throw error;
  throw new UpstreamError(error.fault, { ...error.facts, reason: reasons[code], cause: error });
}

/** `expires_in` from now, or `expires_on` since the epoch; a managed identity writes them as text. */
function secondsOf({ expires_in: within, expires_on: at }: JsonObject, asked: number): number | undefined {
  const whole = (value: unknown) => (/^\d{1,12}$/.test(String(value)) ? Number(value) : undefined);
  const end = whole(at);
  return whole(within) ?? (end === undefined ? undefined : end - Math.floor(asked / 1000));
}
