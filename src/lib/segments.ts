const separators = /[:/]/;

/**
 * Matches a whole value: exact, or with `*` standing for exactly one non-empty segment between `:` or `/`. No regular
 * expressions, no half-anchoring; linear in the value. A `*` inside a segment is a literal asterisk and matches only
 * itself.
 */
export function matchesSegments(pattern: string, value: string): boolean {
  if (!pattern.includes('*')) return pattern === value;
  let p = 0;
  let v = 0;
  for (;;) {
    const pEnd = endOfSegment(pattern, p);
    const vEnd = endOfSegment(value, v);
    const segment = pattern.slice(p, pEnd);
    if (segment === '*' ? vEnd === v : segment !== value.slice(v, vEnd)) return false;
    if (pEnd === pattern.length || vEnd === value.length) return pEnd === pattern.length && vEnd === value.length;
    if (pattern[pEnd] !== value[vEnd]) return false;
    p = pEnd + 1;
    v = vEnd + 1;
  }
}

/** Whether a pattern's stars are all whole segments and the first segment is literal. */
export function isSegmentPattern(pattern: string): boolean {
  const segments = pattern.split(separators);
  return segments[0] !== '*' && segments.every((segment) => segment === '*' || !segment.includes('*'));
}

function endOfSegment(text: string, start: number): number {
  let at = start;
  while (at < text.length && text[at] !== ':' && text[at] !== '/') at++;
  return at;
}
