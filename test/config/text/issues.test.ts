import { describe, expect, it } from 'vitest';
import { findingsOf } from '../../../src/config/text/issues.ts';
import { refSchema } from '../../../src/lib/common-schemas.ts';
import * as s from '../../../src/lib/schema/index.ts';

const right = s.enum(['read', 'trace']);
const schema = s.strictObject({
  text: s.optional(s.string().check(s.minLength(2), s.maxLength(4))),
  port: s.optional(s.int().check(s.minimum(1), s.maximum(65_535))),
  on: s.optional(s.boolean()),
  list: s.optional(s.array(s.string()).check(s.minLength(1))),
  audit: s.optional(s.union([right, s.array(right)])),
  ref: s.optional(refSchema),
  any: s.optional(s.union([s.array(s.string()), s.strictObject({ deep: s.number() })])),
  form: s.optional(s.string().check(s.regex(/^a+$/))),
});

/** What is said of a value, as `path: message (hint)`. */
function said(value: unknown): string[] {
  const { error } = s.safeParse(schema, value);
  return findingsOf(error as s.SchemaError, schema).map(
    ({ path, message, hint }) => `${path.join('.')}: ${message}${hint === undefined ? '' : ` (${hint})`}`,
  );
}

describe('findingsOf', () => {
  it.each([
    [5, ': expected a mapping, got a number'],
    [{ text: 5 }, 'text: expected a text, got a number'],
    [{ text: null }, 'text: expected a text, got nothing'],
    [{ text: 'x' }, 'text: expected at least 2 characters'],
    [{ text: 'xxxxx' }, 'text: expected at most 4 characters'],
    [{ port: '80' }, 'port: expected a number, got a text'],
    [{ port: 1.5 }, 'port: expected a whole number, got a number'],
    [{ port: 0 }, 'port: expected at least 1'],
    [{ on: 'yes' }, 'on: expected true or false, got a text'],
    [{ list: [] }, 'list: expected at least 1 entry'],
    [{ list: ['a', 5] }, 'list.1: expected a text, got a number'],
    [{ audit: 'raed' }, 'audit: expected read or trace (did you mean read?)'],
    [{ audit: ['read', 'trac'] }, 'audit.1: expected read or trace (did you mean trace?)'],
    [{ audit: 5 }, 'audit: expected read or trace'],
    [{ ref: 'hunter2' }, 'ref: expected a mapping, got a text (a secret is referred to with { store, name })'],
    [{ ref: { store: 'a' } }, 'ref.name: name is missing'],
    [{ any: { deep: 'x' } }, 'any.deep: expected a number, got a text'],
    [{ any: { dep: 1, deep: 1 } }, 'any.dep: unknown member "dep" (did you mean deep?)'],
    [{ any: 'x' }, 'any: expected a list or a mapping, got a text'],
    [{ form: 'b' }, 'form: does not have the form /^a+$/'],
    [{ txt: 'ab' }, 'txt: unknown member "txt" (did you mean text?)'],
  ])('says of %j what is wrong in plain words', (value, message) => {
    expect(said(value)).toEqual([message]);
  });
});
