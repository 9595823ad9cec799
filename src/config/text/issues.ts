import type { Fault } from '../../lib/fault.ts';
import type * as s from '../../lib/schema/index.ts';
import { nearest } from '../../lib/suggest.ts';
import { innerSchema, namesOf } from './schema-walk.ts';

/** A fault found in the config; `name` points at the member's name instead of its value. */
export interface Finding extends Fault {
  readonly name?: true;
}

/** Says in plain words what a schema found, without ever repeating a value. */
export function findingsOf(error: s.SchemaError, schema: s.Schema): Finding[] {
  return error.issues.flatMap((issue) => fromIssue(issue, schema));
}

function fromIssue(issue: s.Issue, schema: s.Schema): Finding[] {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys') {
    const known = namesOf(innerSchema(schema, path));
    return issue.keys.map((key) => unknownName([...path, key], known));
  }
  if (issue.code === 'invalid_union' && issue.message === undefined) return fromUnion(issue.errors, path, schema);
  if (issue.code === 'invalid_type' && issue.input === undefined) return [missing(path)];
  if (issue.code === 'invalid_value') return [fromValue(issue.values, path, issue.input)];
  return [{ path, message: describe(issue), ...(issue.code === 'invalid_type' ? refHint(schema, path) : {}) }];
}

/** A member that nobody knows, with the one that was probably meant. */
export function unknownName(path: Fault['path'], known: readonly string[]): Finding {
  const name = String(path.at(-1));
  const meant = nearest(name, known);
  const hint =
    meant === undefined ? (known.length === 0 ? undefined : `known: ${known.join(', ')}`) : `did you mean ${meant}?`;
  return {
    path,
    name: true,
    message: `unknown member ${JSON.stringify(name)}`,
    ...(hint === undefined ? {} : { hint }),
  };
}

const missing = (path: Fault['path']): Finding => ({
  path,
  message: `${String(path.at(-1) ?? 'the value')} is missing`,
});

function fromValue(values: readonly unknown[], path: Fault['path'], input: unknown): Finding {
  if (input === undefined) return missing(path);
  const meant = typeof input === 'string' ? nearest(input, values.map(String)) : undefined;
  const message = `expected ${orList(values.map((value) => String(value)))}`;
  return { path, message, ...(meant === undefined ? {} : { hint: `did you mean ${meant}?` }) };
}

// Of a union's branches the one that got furthest is what the writer meant; a tie is told as a choice.
function fromUnion(inner: readonly (readonly s.Issue[])[], path: Fault['path'], schema: s.Schema): Finding[] {
  const mismatches = inner
    .flat()
    .filter((issue) => issue.path.length === path.length)
    .filter(isMismatch);
  const unfit = new Set<s.Issue>(mismatches);
  const fitting = inner.filter((issues) => !issues.some((issue) => unfit.has(issue)));
  const best = fitting.sort((a, b) => a.length - b.length)[0];
  if (best !== undefined) return best.flatMap((issue) => fromIssue(issue, schema));
  const input = mismatches[0]?.input;
  if (input === undefined) return [missing(path)];
  const wanted = new Set(mismatches.flatMap((issue) => wantedBy(issue)));
  return [{ path, message: `expected ${orList([...wanted])}, got ${typeName(input)}`, ...refHint(schema, path) }];
}

type Mismatch = Extract<s.Issue, { readonly code: 'invalid_type' | 'invalid_value' }>;

const isMismatch = (issue: s.Issue): issue is Mismatch =>
  issue.code === 'invalid_type' || (issue.code === 'invalid_value' && typeof issue.input === 'object');

function wantedBy(issue: s.Issue): string[] {
  if (issue.code === 'invalid_type') return [article(issue.expected)];
  return issue.code === 'invalid_value' ? issue.values.map(String) : [];
}

/** Where a REF belongs, whatever else is there was perhaps meant as the secret itself. */
function refHint(schema: s.Schema, path: Fault['path']): { hint?: string } {
  const names = namesOf(innerSchema(schema, path));
  if (!names.includes('store') || !names.includes('name') || names.includes('kind')) return {};
  return { hint: 'a secret is referred to with { store, name }' };
}

function describe(issue: s.Issue): string {
  if (issue.message !== undefined) {
    return issue.code === 'invalid_type' ? `${issue.message}, got ${typeName(issue.input)}` : issue.message;
  }
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${article(issue.expected)}, got ${typeName(issue.input)}`;
    case 'too_small':
      return `expected ${bound(issue.origin, issue.inclusive ? 'at least' : 'more than', issue.minimum)}`;
    case 'too_big':
      return `expected ${bound(issue.origin, 'at most', issue.maximum)}`;
    case 'invalid_format':
      return `does not have the form ${issue.pattern}`;
    case 'invalid_key':
      return 'this name is not allowed here';
    default:
      return 'this value is not allowed here';
  }
}

function bound(origin: string, words: string, limit: number): string {
  if (origin === 'string') return `${words} ${limit} ${limit === 1 ? 'character' : 'characters'}`;
  if (origin === 'array') return `${words} ${limit} ${limit === 1 ? 'entry' : 'entries'}`;
  return `${words} ${limit}`;
}

const nouns: Readonly<Record<string, string>> = {
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  string: 'a text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  null: 'nothing',
};

const article = (type: string) => nouns[type] ?? type;

export function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return nouns[typeof value] ?? typeof value;
}

function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}
