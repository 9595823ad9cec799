import { fromBase64Url } from '../../lib/bytes.ts';
import { isJsonObject, type Json } from '../../lib/strict-json.ts';

// Each is linear in the text: what repeats is bounded or starts at a literal. A prefix of letters only is none in the midst of a
// word, where it comes about by chance. The first member stands in whatever the second fits: most texts have
// none of them, and an expression that is never asked is never compiled.
const shapes: readonly (readonly [string, RegExp, string])[] = [
  ['PRIVATE KEY', /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY/, 'a private key'],
  ['@', /:\/\/[^\s/?#@:]*:[^\s/?#]+@/, 'a URL with a password'],
  ['IA', /(?<![A-Z0-9])A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Z0-9])/, 'an AWS access key id'],
  ['_', /(?<![A-Za-z0-9])(?:gh[opusr]|github_pat)_\w{20}/, 'a GitHub token'],
  ['glpat-', /glpat-[\w-]{20}/, 'a GitLab token'],
  ['xox', /xox[a-z]-[\w-]{10}/, 'a Slack token'],
  ['xapp-', /xapp-\d-\w{10}/, 'a Slack token'],
  ['k_', /[rs]k_(?:live|test)_\w{10}/, 'a Stripe key'],
  ['AIza', /(?<![A-Za-z0-9])AIza[\w-]{35}/, 'a Google API key'],
  ['hv', /(?<![A-Za-z0-9])hv[sb]\.[\w-]{20}/, 'a Vault token'],
  ['npm_', /(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}/, 'an npm token'],
  ['AGE-SECRET-KEY-1', /AGE-SECRET-KEY-1[A-Z0-9]{20}/, 'a private key'],
  ['AccountKey=', /AccountKey=[A-Za-z0-9+/]{20}/, 'a storage account key'],
];

/** What a text looks like when it carries a secret, e.g. `a private key`; undefined when it shows none. */
export function secretShape(text: string): string | undefined {
  if (text.length < 8) return undefined;
  if (text.includes('://') && text.includes('=') && /[?&;](?:password|passwd|pwd)=[^\s&;]/i.test(text))
    return 'a URL with a password';
  if (text.includes('"kty"') && /"[dk]"\s*:/.test(text)) return 'a private key';
  for (const [part, shape, name] of shapes) if (text.includes(part) && shape.test(text)) return name;
  return hasCompactToken(text) ? 'a signed token' : undefined;
}

/** As secretShape, for a mapping: a JWK with its private or symmetric member. */
export function secretMapping(value: Json): string | undefined {
  if (!isJsonObject(value) || typeof value.kty !== 'string') return undefined;
  return value.d !== undefined || value.k !== undefined ? 'a private or symmetric JWK' : undefined;
}

/** Whether this is a number of a public JWK (RFC 7518 section 6): the letters of a token may stand in it by chance. */
export const isPublicNumber = (mapping: Record<string, Json>, name: string): boolean =>
  typeof mapping.kty === 'string' &&
  ['n', 'e', 'x', 'y'].includes(name) &&
  typeof mapping[name] === 'string' &&
  /^[\w-]*$/.test(mapping[name]);

// A JWS or JWE in compact form: some dotted word begins with a base64url part that is a JSON object with `alg`.
function hasCompactToken(text: string): boolean {
  if (text.indexOf('.') === text.lastIndexOf('.')) return false;
  return text.split(/[^\w.-]+/).some((word) => {
    const parts = word.split('.', 16);
    return parts.length >= 3 && parts.some(isTokenHeader);
  });
}

function isTokenHeader(part: string): boolean {
  const bytes = part.length < 10 ? undefined : fromBase64Url(part);
  if (bytes?.[0] !== 0x7b && bytes?.[0] !== 0x20) return false;
  try {
    const header: unknown = JSON.parse(Buffer.from(bytes).toString());
    return isJsonObject(header) && typeof header.alg === 'string';
  } catch {
    return false;
  }
}
