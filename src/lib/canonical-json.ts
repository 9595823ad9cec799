import type { Json } from './strict-json.ts';

type Input = Json | undefined | readonly Input[] | { readonly [member: string]: Input };

/**
 * The JSON Canonicalization Scheme (RFC 8785). Members whose value is undefined are left out.
 *
 * @throws TypeError for a non-finite number, a lone surrogate, or a value that is not JSON
 */
export function canonicalJson(value: Input): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return canonicalString(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('not a finite number');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object') throw new TypeError(`not JSON: ${typeof value}`);
  return canonicalObject(value as { readonly [member: string]: Input });
}

// Array.prototype.sort compares UTF-16 code units, which is RFC 8785 section 3.2.3.
function canonicalObject(object: { readonly [member: string]: Input }): string {
  const names = Object.keys(object).sort();
  let text = '';
  for (const name of names) {
    const value = object[name];
    if (value === undefined) continue;
    text += `${text === '' ? '' : ','}${canonicalString(name)}:${canonicalJson(value)}`;
  }
  return `{${text}}`;
}

// Printable ASCII without quote and backslash stands as it is (RFC 8785 section 3.2.2.2).
const plain = /^[ !#-[\]-~]*$/;

function canonicalString(text: string): string {
  if (plain.test(text)) return `"${text}"`;
  if (!text.isWellFormed()) throw new TypeError('lone surrogate');
  return JSON.stringify(text);
}
