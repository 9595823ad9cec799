import * as z from 'zod/mini';
import { recordTypes } from '../lib/record-types.ts';
import { durationSchema, refSchema } from '../lib/schema.ts';
import { caSchema } from '../lib/trust.ts';
import { formatNames } from './formats/names.ts';

// Built when a config names a sink: a start without one does not wait for them.

/** Members of every sink that takes records. */
export const recordMembers = () => ({
  /** Only records of these types. Default: all. */
  types: z.optional(z.array(z.enum(recordTypes)).check(z.minLength(1), z.maxLength(32))),
  /** Whether who it was about goes along. What a sink has been given, no erasure reaches. */
  disclosures: z._default(z.boolean(), false),
  /** Where a sink that is new begins. */
  since: z._default(z.enum(['start', 'now']), 'start'),
});

/** Of every sink that takes checkpoints as well. */
export const checkpointMembers = () => ({
  send: z._default(z.enum(['records', 'checkpoints']), 'records'),
});

export const everySchema = () => z.optional(durationSchema(1, 3600));

export const formatSchema = () => z._default(z.enum(formatNames), 'native');

/** Entries in one call at most. */
export const batchSchema = () => z._default(z.int().check(z.minimum(1), z.maximum(1000)), 500);

/** What a sink says of each call by itself: another value would stand beside it, or be passed over. */
const ownFields: ReadonlySet<string> = new Set(
  'content-type content-length content-encoding transfer-encoding connection host webhook-id webhook-timestamp webhook-signature'.split(
    ' ',
  ),
);

/** Of those that are called over HTTP. */
export const httpMembers = () => ({
  /** Header fields whose values are secrets. */
  headers: z.optional(
    z
      .record(
        z.string().check(z.regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'expected the name of a header field')),
        refSchema,
      )
      .check(
        z.refine((headers) => Object.keys(headers).length <= 16, 'expected at most 16 fields'),
        z.refine(
          (headers) => !Object.keys(headers).some((name) => ownFields.has(name.toLowerCase())),
          'content-type, webhook-... and how a call is framed are Hallpass’s own to say',
        ),
      ),
  ),
  ca: caSchema,
  batch: batchSchema(),
});

/** What the forwarder reads of a sink's entry, whatever its kind. */
export interface SinkSettings {
  readonly kind: string;
  readonly send?: 'records' | 'checkpoints';
  readonly types?: readonly string[] | undefined;
  readonly disclosures?: boolean;
  readonly since?: 'start' | 'now';
  readonly batch?: number;
  /** Checkpoints: at most this often. Records: how long the first may wait for more. */
  readonly every?: string | undefined;
}
