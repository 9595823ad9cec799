import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { findingsOf } from '../../../src/config/text/issues.ts';
import { refSchema } from '../../../src/lib/schema.ts';

const right = z.enum(['read', 'trace']);
const schema = z.strictObject({
  text: z.optional(z.string().check(z.minLength(2), z.maxLength(4))),
  port: z.optional(z.int().check(z.minimum(1), z.maximum(65_535))),
  on: z.optional(z.boolean()),
  list: z.optional(z.array(z.string()).check(z.minLength(1))),
  audit: z.optional(z.union([right, z.array(right)])),
  ref: z.optional(refSchema),
  any: z.optional(z.union([z.array(z.string()), z.strictObject({ deep: z.number() })])),
  form: z.optional(z.string().check(z.regex(/^a+$/))),
});

/** What is said of a value, as `path: message (hint)`. */
function said(value: unknown): string[] {
  const { error } = z.safeParse(schema, value, { reportInput: true, jitless: true });
  return findingsOf(error as z.core.$ZodError, schema).map(
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

  it('says the same when another part of the process has loaded a locale', () => {
    const before = z.config().localeError;
    z.config(z.locales.en());
    try {
      expect(said({ text: 5, port: 0 })).toEqual(['text: expected a text, got a number', 'port: expected at least 1']);
    } finally {
      z.config({ localeError: before });
    }
  });
});
