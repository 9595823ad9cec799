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

function canonicalObject(object: { readonly [member: string]: Input }): string {
  const names = inOrder(Object.keys(object));
  let text = '';
  for (const name of names) {
    const value = object[name];
    if (value === undefined) continue;
    text += text === '' ? labelOf(name) : `,${labelOf(name)}`;
    text += typeof value === 'string' ? canonicalString(value) : canonicalJson(value);
  }
  return `{${text}}`;
}

/** So few are put in order sooner, and with nothing left behind, one by one. */
const few = 24;

// Both compare UTF-16 code units, which is RFC 8785 section 3.2.3.
function inOrder(names: string[]): string[] {
  if (names.length > few) return names.sort();
  for (let next = 1; next < names.length; next++) {
    const name = names[next] as string;
    let at = next;
    for (; at > 0 && (names[at - 1] as string) > name; at--) names[at] = names[at - 1] as string;
    names[at] = name;
  }
  return names;
}

/** Names of members as they are written: objects have the same ones again and again. Bounded, as some are the caller's. */
const labels = new Map<string, string>();
const mostLabels = 512;

function labelOf(name: string): string {
  const known = labels.get(name);
  if (known !== undefined) return known;
  const label = `${canonicalString(name)}:`;
  if (labels.size < mostLabels && name.length <= 64) labels.set(name, label);
  return label;
}

// Printable ASCII without quote and backslash stands as it is (RFC 8785 section 3.2.2.2).
const plain = /^[ !#-[\]-~]*$/;

function canonicalString(text: string): string {
  if (plain.test(text)) return `"${text}"`;
  if (!text.isWellFormed()) throw new TypeError('lone surrogate');
  return JSON.stringify(text);
}
