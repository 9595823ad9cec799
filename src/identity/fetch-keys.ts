import type { Deadline } from '../lib/deadline.ts';
import { callHttp, HttpError } from '../lib/http-client.ts';
import { JsonError, type JsonObject, parseStrictJsonObject } from '../lib/strict-json.ts';
import { type KeySet, readKeySet } from './jwk.ts';
import type { KeyOrigin } from './preset.ts';

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Why an issuer gave no key set, in fixed words: nothing it said is repeated (CVE-2025-52477). */
export class KeyFetchError extends Error {
  override readonly name = 'KeyFetchError';
}

const maxBytes = 256 * 1024;
const maxKeys = 100;

/**
 * Fetches an issuer's keys, discovery included: no redirect is followed, all of it ends by the deadline.
 *
 * @throws KeyFetchError
 */
export async function fetchKeys(
  fetch: Fetch,
  origin: Exclude<KeyOrigin, { kind: 'static' }>,
  deadline: Deadline,
): Promise<KeySet> {
  const url = origin.kind === 'url' ? origin.url : await discover(fetch, origin.issuer, deadline);
  const { keys } = await fetchJson(fetch, url, deadline);
  if (!Array.isArray(keys)) throw new KeyFetchError('not_a_key_set');
  if (keys.length > maxKeys) throw new KeyFetchError('too_many_keys');
  return readKeySet(keys);
}

/** OpenID Connect Discovery section 4: the document names its issuer exactly, and keys on that issuer's own origin. */
async function discover(fetch: Fetch, issuer: string, deadline: Deadline): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const document = await fetchJson(fetch, url, deadline);
  if (document.issuer !== issuer) throw new KeyFetchError('other_issuer');
  const { jwks_uri: jwksUri } = document;
  if (typeof jwksUri !== 'string' || !URL.canParse(jwksUri)) throw new KeyFetchError('no_jwks_uri');
  const target = new URL(jwksUri);
  if (target.origin !== new URL(issuer).origin || target.username !== '' || target.password !== '') {
    throw new KeyFetchError('other_origin');
  }
  return target.href;
}

async function fetchJson(fetch: Fetch, url: string, deadline: Deadline): Promise<JsonObject> {
  const headers = { accept: 'application/json, application/jwk-set+json' };
  try {
    const answer = await callHttp(fetch, url, { headers }, { deadline, maxBytes });
    if (answer.status !== 200) throw new KeyFetchError(`status_${answer.status}`);
    if (answer.headers.get('content-type')?.toLowerCase().startsWith('text/html')) throw new KeyFetchError('html');
    return parseStrictJsonObject(answer.body);
  } catch (error) {
    throw keyFetchError(error);
  }
}

function keyFetchError(error: unknown): unknown {
  if (error instanceof HttpError) return new KeyFetchError(error.fault, { cause: error });
  if (error instanceof JsonError) return new KeyFetchError('not_json', { cause: error });
  return error;
}
