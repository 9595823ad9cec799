const separator = /[:/]/;

/**
 * A pattern for identity names: `*` stands for one or more characters of one segment, whatever is between `:` or `/`; so
 * `ci:acme/*` and `ci:acme/*@main` both find `ci:acme/shop@main`, and neither finds `ci:acme/shop/web@main`.
 */
export interface NamePattern {
  /** What every match begins with. */
  readonly prefix: string;
  /** Only the prefix itself matches. */
  readonly exact: boolean;
  matches(name: string): boolean;
}

export function namePattern(pattern: string): NamePattern {
  const star = pattern.indexOf('*');
  if (star === -1) return { prefix: pattern, exact: true, matches: (name) => name === pattern };
  const parts = pattern.split('*');
  return { prefix: pattern.slice(0, star), exact: false, matches: (name) => matchesParts(parts, name) };
}

/** Leftmost places for the parts between stars; a star takes at least one character, and none that separates. */
function matchesParts(parts: readonly string[], name: string): boolean {
  const [first = '', ...rest] = parts;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const [index, part] of rest.entries()) {
    const last = index === rest.length - 1;
    const found = last ? name.length - part.length : name.indexOf(part, at + 1);
    if (found <= at || !name.startsWith(part, found) || separator.test(name.slice(at, found))) return false;
    at = found + part.length;
  }
  return at === name.length;
}
