import { before, type Deadline } from '../lib/deadline.ts';
import { callHttp, HttpError } from '../lib/http-client.ts';
import { JsonError, type JsonObject, parseStrictJsonObject } from '../lib/strict-json.ts';
import { type KeySet, type KeyUse, readKeySet } from './jwk.ts';
import type { KeyDoor } from './key-access.ts';
import { KeyFetchError } from './key-fetch-error.ts';
import type { MovingKeys } from './preset.ts';

/** A key set as its source gave it. */
export interface FetchedKeys extends KeySet {
  /** How soon the source wants to be asked again, milliseconds (SPIFFE Trust Domain and Bundle, section 4.1.2). */
  readonly refreshMs?: number;
  /** Grows with each change of a SPIFFE bundle (section 4.1.1). */
  readonly sequence?: number;
}

const maxBytes = 256 * 1024;
const maxKeys = 100;

/**
 * Gets an issuer's keys, discovery included: no redirect is followed, all of it ends by the deadline.
 *
 * @throws KeyFetchError
 */
export async function fetchKeys(
  door: KeyDoor,
  origin: MovingKeys,
  use: KeyUse,
  deadline: Deadline,
): Promise<FetchedKeys> {
  const document = await keyDocument(door, origin, deadline);
  const { keys } = document;
  if (!Array.isArray(keys)) throw new KeyFetchError('not_a_key_set');
  if (keys.length > maxKeys) throw new KeyFetchError('too_many_keys');
  return { ...readKeySet(keys, use), ...(use === 'jwt-svid' ? bundleFacts(document) : {}) };
}

async function keyDocument(door: KeyDoor, origin: MovingKeys, deadline: Deadline): Promise<JsonObject> {
  if (origin.kind === 'file') return readFileJson(door, origin.path, deadline);
  const url = origin.kind === 'url' ? origin.url : await discover(door, origin.issuer, deadline);
  return fetchJson(door, url, deadline);
}

function bundleFacts({ spiffe_refresh_hint: hint, spiffe_sequence: sequence }: JsonObject) {
  return {
    ...(isCount(hint) ? { refreshMs: hint * 1000 } : {}),
    ...(isCount(sequence) ? { sequence } : {}),
  };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** OpenID Connect Discovery section 4: the document names its issuer exactly, and keys on that issuer's own origin. */
async function discover(door: KeyDoor, issuer: string, deadline: Deadline): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const document = await fetchJson(door, url, deadline);
  if (document.issuer !== issuer) throw new KeyFetchError('other_issuer');
  const { jwks_uri: jwksUri } = document;
  if (typeof jwksUri !== 'string' || !URL.canParse(jwksUri)) throw new KeyFetchError('no_jwks_uri');
  const target = new URL(jwksUri);
  if (target.origin !== new URL(issuer).origin || target.username !== '' || target.password !== '') {
    throw new KeyFetchError('other_origin');
  }
  return target.href;
}

async function fetchJson(door: KeyDoor, url: string, deadline: Deadline): Promise<JsonObject> {
  const bearer = door.bearer && (await door.bearer(deadline));
  const headers = {
    accept: 'application/json, application/jwk-set+json',
    ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
  };
  try {
    const answer = await callHttp(door.fetch, url, { headers }, { deadline, maxBytes });
    if (answer.status !== 200) throw new KeyFetchError(`status_${answer.status}`);
    if (answer.headers.get('content-type')?.toLowerCase().startsWith('text/html')) throw new KeyFetchError('html');
    return parseStrictJsonObject(answer.body);
  } catch (error) {
    throw keyFetchError(error);
  }
}

async function readFileJson({ readFile }: KeyDoor, path: string, deadline: Deadline): Promise<JsonObject> {
  const unread = (cause?: unknown) => new KeyFetchError('no_file', { cause });
  if (readFile === undefined) throw unread();
  const bytes = await before(
    deadline,
    () => new KeyFetchError('timeout'),
    () => readFile(path),
  ).catch((error) => {
    throw error instanceof KeyFetchError ? error : unread(error);
  });
  if (bytes.length > maxBytes) throw new KeyFetchError('too_large');
  try {
    return parseStrictJsonObject(bytes);
  } catch (error) {
    throw keyFetchError(error);
  }
}

function keyFetchError(error: unknown): unknown {
  if (error instanceof HttpError) return new KeyFetchError(error.reason, { cause: error });
  if (error instanceof JsonError) return new KeyFetchError('not_json', { cause: error });
  return error;
}
