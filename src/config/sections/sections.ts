import { durationSchema, refSchema, urlSchema } from '../../lib/common-schemas.ts';
import * as s from '../../lib/schema/index.ts';
import { parseDuration } from '../../lib/time.ts';
import type { Limits } from '../config.ts';

/** The sections of a config. */
export const sectionNames = [
  'broker',
  'ledger',
  'issuers',
  'stores',
  'credentials',
  'roles',
  'grants',
  'sinks',
  'limits',
] as const;

export const audienceSchema = s.later(() =>
  s.string().check(s.regex(/^[\x21-\x7e]{1,255}$/, 'expected 1 to 255 printable characters without spaces')),
);

/** Caches of a JWKS (300 s) and processes that hear of a key (300 s) must be over; 0s is for loopback. */
const announceSchema = s.later(() =>
  s.string('expected a duration such as 10m').check(
    s.refine((text) => {
      const seconds = text === '0s' ? 0 : (parseDuration(text) ?? -1);
      return seconds >= 0 && seconds <= 7 * 86_400;
    }, 'expected a duration such as 10m, at most 7d'),
  ),
);

/** `broker`; the entries of `signer` are checked by their own kind. */
export const brokerSchema = s.strictObject({
  url: urlSchema,
  audience: s.optional(audienceSchema),
  signer: s.optional(s.unknown()),
  /** How long a new key is published before it signs. */
  announce: s.withDefault(announceSchema, '10m'),
  secret: s.optional(s.later(() => s.union([refSchema, s.array(refSchema).check(s.minLength(1), s.maxLength(8))]))),
  explain: s.withDefault(s.enum(['names', 'values', 'off']), 'names'),
});

/** The name of an issuer, store, credential or role: it stands in paths, records and `<issuer>:<path>`. */
export const entryName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

const bytes = (most: number) => s.int().check(s.minimum(1024), s.maximum(most));

/** `limits`, as written. */
export const limitsSchema = s.later(() =>
  s.strictObject({
    tokenBytes: s.optional(bytes(65_536)),
    bodyBytes: s.optional(bytes(1_048_576)),
    openRequests: s.optional(s.int().check(s.minimum(1), s.maximum(100_000))),
    request: s.optional(durationSchema(1, 120)),
    jwks: s.optional(durationSchema(1, 30)),
    store: s.optional(durationSchema(1, 60)),
    mint: s.optional(durationSchema(1, 60)),
    ledger: s.optional(durationSchema(1, 60)),
    undo: s.optional(durationSchema(1, 30)),
  }),
);

/** Fills the defaults in. */
export function limitsOf(written: s.infer<typeof limitsSchema>): Limits {
  const ms = (text: string | undefined, seconds: number) => (parseDuration(text ?? '') ?? seconds) * 1000;
  return {
    tokenBytes: written.tokenBytes ?? 16_384,
    bodyBytes: written.bodyBytes ?? 16_384,
    openRequests: written.openRequests ?? 1000,
    requestMs: ms(written.request, 15),
    jwksMs: ms(written.jwks, 2),
    storeMs: ms(written.store, 5),
    mintMs: ms(written.mint, 10),
    ledgerMs: ms(written.ledger, 2),
    undoMs: ms(written.undo, 2),
  };
}
