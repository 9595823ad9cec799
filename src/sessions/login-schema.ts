import * as z from 'zod/mini';
import { later } from '../lib/schema.ts';
import type { AssertionTerms } from './session.ts';

/** Whom our own assertion is for, where that is not the address of the other side. */
export const audienceSchema = z.optional(
  later(() => z.string().check(z.regex(/^[\x21-\x7e]{1,255}$/, 'an audience is 1 to 255 printable characters'))),
);

/** A projected service account token that is shown in place of an assertion. */
export const tokenFileSchema = z.optional(later(() => z.string().check(z.minLength(1), z.maxLength(4096))));

/** What proves us to whoever takes any issuer's JWT: nothing beside the standard claims. */
export const plainTerms = (audience: string): AssertionTerms => ({
  audience,
  algorithms: ['ES256', 'RS256'],
  ttl: 300,
});
