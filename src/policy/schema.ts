import * as z from 'zod/mini';
import { durationSchema, later } from '../lib/schema.ts';

/** Names go into records and URLs: printable ASCII, no outer space; compared byte for byte, never folded. */
export const namePattern = /^[!-~](?:[ -~]{0,126}[!-~])?$/;

const name = z.string().check(z.regex(namePattern, 'a name is 1 to 128 printable ASCII characters'));

// Shorter than half a minute is not usable across clocks; longer than a year is not short-lived.
const duration = durationSchema(30, 365 * 86_400);

const text = z.string().check(z.minLength(1, 'must not be empty'));
const scalar = z.union([text, z.number(), z.boolean()]);
const names = z.array(name).check(z.minLength(1, 'an empty list gives nothing'));

// The last of 43 characters holds four bits of 32 bytes.
const thumbprintPattern = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

const oneOrMore = <const T extends readonly [string, ...string[]]>(words: T) =>
  later(() => {
    const one = z.enum(words);
    return z.union([one, z.array(one).check(z.minLength(1, 'an empty list gives nothing'))]);
  });
const audit = oneOrMore(['read', 'trace', 'erase']);
const ledger = oneOrMore(['append', 'follow', 'roll']);

/** What a role gives: a list of credentials, or credentials and permissions. */
export const roleSchema = z.union([
  names,
  later(() =>
    z.strictObject({
      credentials: z.optional(names),
      audit: z.optional(audit),
      ledger: z.optional(ledger),
      mint: z.optional(names),
      writer: z.optional(text),
      leases: z.optional(later(() => z.literal('revoke'))),
      secrets: z.optional(later(() => z.literal('rotate'))),
      lockdown: z.optional(later(() => z.literal('write'))),
    }),
  ),
]);

/** Members beside `issuer` are the issuer's own; a generic issuer has `subject` and `claims: { path: value }`. */
const identity = z.catchall(
  z.object({
    issuer: text,
    claims: z.optional(
      later(() =>
        z.record(text, scalar).check(z.refine((claims) => Object.keys(claims).length > 0, 'empty claims bind nothing')),
      ),
    ),
  }),
  scalar,
);

/** These identities, under these conditions, may have these credentials or roles, for at most this long. */
export const grantSchema = z.strictObject({
  name,
  identity,
  when: z.optional(later(() => text.check(z.maxLength(2048)))),
  may: names,
  ttl: z.optional(duration),
  maxTtl: z.optional(duration),
  once: z.optional(z.literal(true)),
  tokenLife: z.optional(z.literal(true)),
  claims: z.optional(later(() => z.array(text).check(z.minLength(1, 'an empty list discloses nothing')))),
  sealTo: z.optional(
    later(() => z.string().check(z.regex(thumbprintPattern, 'expected the RFC 7638 thumbprint of a key'))),
  ),
  /** Live leases of one credential that one identity may have at once. */
  max: z.optional(later(() => z.int().check(z.gte(1)))),
});

export type RoleEntry = z.infer<typeof roleSchema>;
export type GrantEntry = z.infer<typeof grantSchema>;
