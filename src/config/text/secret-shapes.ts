import { fromBase64Url } from '../../lib/bytes.ts';
import { isJsonObject, type Json } from '../../lib/strict-json.ts';

// Each is linear in the text: what repeats is bounded or starts at a literal. A prefix of letters only is none in the midst of a
// word, where it comes about by chance. `part` stands in whatever `shape` fits: most texts have none of them, and an
// expression that is never asked is never compiled.
const shapes: readonly { readonly part: string; readonly shape: RegExp; readonly name: string }[] = [
  { part: 'PRIVATE KEY', shape: /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY/, name: 'a private key' },
  { part: '@', shape: /:\/\/[^\s/?#@:]*:[^\s/?#]+@/, name: 'a URL with a password' },
  { part: 'IA', shape: /(?<![A-Z0-9])A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Z0-9])/, name: 'an AWS access key id' },
  { part: '_', shape: /(?<![A-Za-z0-9])(?:gh[opusr]|github_pat)_\w{20}/, name: 'a GitHub token' },
  { part: 'glpat-', shape: /glpat-[\w-]{20}/, name: 'a GitLab token' },
  { part: 'xox', shape: /xox[a-z]-[\w-]{10}/, name: 'a Slack token' },
  { part: 'xapp-', shape: /xapp-\d-\w{10}/, name: 'a Slack token' },
  { part: 'k_', shape: /[rs]k_(?:live|test)_\w{10}/, name: 'a Stripe key' },
  { part: 'AIza', shape: /(?<![A-Za-z0-9])AIza[\w-]{35}/, name: 'a Google API key' },
  { part: 'hv', shape: /(?<![A-Za-z0-9])hv[sb]\.[\w-]{20}/, name: 'a Vault token' },
  { part: 'npm_', shape: /(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}/, name: 'an npm token' },
  { part: 'AGE-SECRET-KEY-1', shape: /AGE-SECRET-KEY-1[A-Z0-9]{20}/, name: 'a private key' },
  { part: 'AccountKey=', shape: /AccountKey=[A-Za-z0-9+/]{20}/, name: 'a storage account key' },
];

/** What a text looks like when it carries a secret, e.g. `a private key`; undefined when it shows none. */
export function secretShape(text: string): string | undefined {
  if (text.length < 8) return undefined;
  if (text.includes('://') && text.includes('=') && /[?&;](?:password|passwd|pwd)=[^\s&;]/i.test(text))
    return 'a URL with a password';
  if (text.includes('"kty"') && /"[dk]"\s*:/.test(text)) return 'a private key';
  for (const { part, shape, name } of shapes) if (text.includes(part) && shape.test(text)) return name;
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
  if (!mayHoldHeader(text, 'e') && !mayHoldHeader(text, 'I')) return false;
  return text.split(/[^\w.-]+/).some((word) => {
    const parts = word.split('.', 16);
    return parts.length >= 3 && parts.some(isTokenHeader);
  });
}

const leastHeader = 10;

// What begins with `{` or a blank begins with `e` or `I` in base64url: few texts have such a part, long enough, in a word.
function mayHoldHeader(text: string, first: 'e' | 'I'): boolean {
  for (let at = text.indexOf(first); at !== -1; at = text.indexOf(first, at + 1)) {
    if (at > 0 && isOfPart(text.charCodeAt(at - 1))) continue;
    let end = at + 1;
    while (end < at + leastHeader && isOfPart(text.charCodeAt(end))) end++;
    if (end === at + leastHeader) return true;
  }
  return false;
}

// [\w-]; of no code unit, NaN, all of these are false.
const isOfPart = (unit: number): boolean =>
  (unit >= 0x61 && unit <= 0x7a) ||
  (unit >= 0x41 && unit <= 0x5a) ||
  (unit >= 0x30 && unit <= 0x39) ||
  unit === 0x5f ||
  unit === 0x2d;

function isTokenHeader(part: string): boolean {
  const bytes = part.length < leastHeader ? undefined : fromBase64Url(part);
  if (bytes?.[0] !== 0x7b && bytes?.[0] !== 0x20) return false;
  try {
    const header: unknown = JSON.parse(Buffer.from(bytes).toString());
    return isJsonObject(header) && typeof header.alg === 'string';
  } catch {
    return false;
  }
}
