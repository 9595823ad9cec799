import * as s from '../lib/schema/index.ts';
import type { AssertionTerms } from './session.ts';

/** Whom our own assertion is for, where that is not the address of the other side. */
export const audienceSchema = s.optional(
  s.later(() => s.string().check(s.regex(/^[\x21-\x7e]{1,255}$/, 'an audience is 1 to 255 printable characters'))),
);

/** A projected service account token that is shown in place of an assertion. */
export const tokenFileSchema = s.optional(s.later(() => s.string().check(s.minLength(1), s.maxLength(4096))));

/** What proves us to whoever takes any issuer's JWT: nothing beside the standard claims. */
export const plainTerms = (audience: string): AssertionTerms => ({
  audience,
  algorithms: ['ES256', 'RS256'],
  ttl: 300,
});
