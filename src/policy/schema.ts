import { durationSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';

/** Names go into records and URLs: printable ASCII, no outer space; compared byte for byte, never folded. */
export const namePattern = /^[!-~](?:[ -~]{0,126}[!-~])?$/;

const name = s.string().check(s.regex(namePattern, 'a name is 1 to 128 printable ASCII characters'));

// Shorter than half a minute is not usable across clocks; longer than a year is not short-lived.
const duration = durationSchema(30, 365 * 86_400);

const text = s.string().check(s.minLength(1, 'must not be empty'));
const scalar = s.union([text, s.number(), s.boolean()]);
const names = s.array(name).check(s.minLength(1, 'an empty list gives nothing'));

// The last of 43 characters holds four bits of 32 bytes.
const thumbprintPattern = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

const oneOrMore = <const T extends string>(words: readonly T[]) =>
  s.later(() => {
    const one = s.enum(words);
    return s.union([one, s.array(one).check(s.minLength(1, 'an empty list gives nothing'))]);
  });
const audit = oneOrMore(['read', 'trace', 'erase']);
const ledger = oneOrMore(['append', 'follow', 'roll']);

/** What a role gives: a list of credentials, or credentials and permissions. */
export const roleSchema = s.union([
  names,
  s.later(() =>
    s.strictObject({
      credentials: s.optional(names),
      audit: s.optional(audit),
      ledger: s.optional(ledger),
      mint: s.optional(names),
      writer: s.optional(text),
      leases: s.optional(s.later(() => s.literal('revoke'))),
      secrets: s.optional(s.later(() => s.literal('rotate'))),
      lockdown: s.optional(s.later(() => s.literal('write'))),
    }),
  ),
]);

/** Members beside `issuer` are the issuer's own; a generic issuer has `subject` and `claims: { path: value }`. */
const identity = s.catchall(
  s.object({
    issuer: text,
    claims: s.optional(
      s.later(() =>
        s.record(text, scalar).check(s.refine((claims) => Object.keys(claims).length > 0, 'empty claims bind nothing')),
      ),
    ),
  }),
  scalar,
);

/** These identities, under these conditions, may have these credentials or roles, for at most this long. */
export const grantSchema = s.strictObject({
  name,
  identity,
  when: s.optional(s.later(() => text.check(s.maxLength(2048)))),
  may: names,
  ttl: s.optional(duration),
  maxTtl: s.optional(duration),
  once: s.optional(s.literal(true)),
  tokenLife: s.optional(s.literal(true)),
  claims: s.optional(s.later(() => s.array(text).check(s.minLength(1, 'an empty list discloses nothing')))),
  sealTo: s.optional(
    s.later(() => s.string().check(s.regex(thumbprintPattern, 'expected the RFC 7638 thumbprint of a key'))),
  ),
  /** Live leases of one credential that one identity may have at once. */
  max: s.optional(s.later(() => s.int().check(s.minimum(1)))),
});

export type RoleEntry = s.infer<typeof roleSchema>;
export type GrantEntry = s.infer<typeof grantSchema>;
