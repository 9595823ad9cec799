import { sha256, toBase64Url } from './bytes.ts';
import { canonicalJson } from './canonical-json.ts';
import type { JsonObject } from './strict-json.ts';

/** The members that make a key's thumbprint, by `kty` (RFC 7638 section 3.2, RFC 8037 section 2). */
const required: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
};

/** The RFC 7638 SHA-256 thumbprint of a public JWK, base64url. @throws TypeError for an unknown `kty` */
export function thumbprint(jwk: JsonObject): string {
  const names = Object.hasOwn(required, String(jwk.kty)) ? required[String(jwk.kty)] : undefined;
  if (names === undefined) throw new TypeError('a key of unknown type');
  return toBase64Url(sha256(canonicalJson(Object.fromEntries(names.map((name) => [name, jwk[name]])))));
}
