import * as z from 'zod/mini';
import { durationSchema, later, refSchema, urlSchema } from '../../lib/schema.ts';
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

export const audienceSchema = later(() =>
  z.string().check(z.regex(/^[\x21-\x7e]{1,255}$/, 'expected 1 to 255 printable characters without spaces')),
);

/** Caches of a JWKS (300 s) and processes that hear of a key (300 s) must be over; 0s is for loopback. */
const announceSchema = later(() =>
  z.string('expected a duration such as 10m').check(
    z.refine((text) => {
      const seconds = text === '0s' ? 0 : (parseDuration(text) ?? -1);
      return seconds >= 0 && seconds <= 7 * 86_400;
    }, 'expected a duration such as 10m, at most 7d'),
  ),
);

/** `broker`; the entries of `signer` are checked by their own kind. */
export const brokerSchema = z.strictObject({
  url: urlSchema,
  audience: z.optional(audienceSchema),
  signer: z.optional(z.unknown()),
  /** How long a new key is published before it signs. */
  announce: z._default(announceSchema, '10m'),
  secret: z.optional(later(() => z.union([refSchema, z.array(refSchema).check(z.minLength(1), z.maxLength(8))]))),
  explain: z._default(z.enum(['names', 'values', 'off']), 'names'),
});

/** The name of an issuer, store, credential or role: it stands in paths, records and `<issuer>:<path>`. */
export const entryName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

const bytes = (most: number) => z.int().check(z.minimum(1024), z.maximum(most));

/** `limits`, as written. */
export const limitsSchema = later(() =>
  z.strictObject({
    tokenBytes: z.optional(bytes(65_536)),
    bodyBytes: z.optional(bytes(1_048_576)),
    openRequests: z.optional(z.int().check(z.minimum(1), z.maximum(100_000))),
    request: z.optional(durationSchema(1, 120)),
    jwks: z.optional(durationSchema(1, 30)),
    store: z.optional(durationSchema(1, 60)),
    mint: z.optional(durationSchema(1, 60)),
    ledger: z.optional(durationSchema(1, 60)),
    undo: z.optional(durationSchema(1, 30)),
  }),
);

/** Fills the defaults in. */
export function limitsOf(written: z.infer<typeof limitsSchema>): Limits {
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
