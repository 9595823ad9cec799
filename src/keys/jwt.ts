import { toBase64Url, toUtf8 } from '../lib/bytes.ts';
import { canonicalJson } from '../lib/canonical-json.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { JsonObject } from '../lib/strict-json.ts';
import type { SigningKey } from './keys.ts';

/**
 * A compact JWT (RFC 7519) over exactly these claims. Whatever Hallpass signs says when it was made and ends, and which
 * one it is.
 *
 * @throws TypeError when `iat`, `nbf` or `exp` is not a safe integer, or `jti` not a text; Refusal as the key does
 */
export async function signJwt(key: SigningKey, claims: JsonObject, deadline?: Deadline): Promise<string> {
  for (const name of ['iat', 'nbf', 'exp'])
    if (!Number.isSafeInteger(claims[name])) throw new TypeError(`a token without ${name}`);
  if (typeof claims.jti !== 'string' || claims.jti === '') throw new TypeError('a token without jti');
  const header = canonicalJson({ alg: key.alg, kid: key.kid, typ: 'JWT' });
  const signed = `${toBase64Url(toUtf8(header))}.${toBase64Url(toUtf8(canonicalJson(claims)))}`;
  return `${signed}.${toBase64Url(await key.sign(toUtf8(signed), deadline))}`;
}
