import type { Json, JsonObject } from '../../lib/strict-json.ts';

/** Forms kept; records are of few, and an odd one must not push out the usual. */
const most = 24;

/**
 * The forms that canonical records have had: the same members, with other values. Text of a known form is canonical JSON
 * (RFC 8785) too, which one pattern tells far sooner than writing it again would.
 */
export interface Forms {
  has(text: string): boolean;
  /** Learns the form of what canonical text said. */
  learn(value: JsonObject): void;
}

export function openForms(): Forms {
  const forms: RegExp[] = [];
  return {
    has(text) {
      for (const [at, form] of forms.entries()) {
        if (!form.test(text)) continue;
        // The next one is most likely of the same form.
        if (at > 0) [forms[0], forms[at]] = [form, forms[0] as RegExp];
        return true;
      }
      return false;
    },
    learn(value) {
      const pattern = forms.length < most ? patternOf(value) : undefined;
      if (pattern !== undefined) forms.push(new RegExp(`^${pattern}$`));
    },
  };
}

/** Printable ASCII but quote and backslash stands as it is (RFC 8785 section 3.2.2.2); so does a whole number this short. */
const text = '"[ !#-[\\]-~]*"';
const number = '(?:0|[1-9][0-9]{0,14})';
// A name that is a number loses its place when it is parsed.
const plainName = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/**
 * The pattern of all canonical text of the same form. Undefined for what such a pattern does not say: a list, null, a
 * fraction, a name that is written otherwise.
 */
export function patternOf(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return text;
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? number : undefined;
  if (typeof value === 'boolean') return '(?:true|false)';
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const members: string[] = [];
  let before = '';
  for (const [name, member] of Object.entries(value)) {
    const pattern = plainName.test(name) && name > before ? patternOf(member) : undefined;
    if (pattern === undefined) return undefined;
    members.push(`"${name}":${pattern}`);
    before = name;
  }
  return `\\{${members.join(',')}\\}`;
}
