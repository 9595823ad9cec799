import { durationSchema, refSchema } from '../lib/common-schemas.ts';
import { recordTypes } from '../lib/record-types.ts';
import * as s from '../lib/schema/index.ts';
import { caSchema } from '../lib/trust.ts';
import { formatNames } from './formats/names.ts';

// Built when a config names a sink: a start without one does not wait for them.

/** Members of every sink that takes records. */
export const recordMembers = () => ({
  /** Only records of these types. Default: all. */
  types: s.optional(s.array(s.enum(recordTypes)).check(s.minLength(1), s.maxLength(32))),
  /** Whether who it was about goes along. What a sink has been given, no erasure reaches. */
  disclosures: s.withDefault(s.boolean(), false),
  /** Where a sink that is new begins. */
  since: s.withDefault(s.enum(['start', 'now']), 'start'),
});

/** Of every sink that takes checkpoints as well. */
export const checkpointMembers = () => ({
  send: s.withDefault(s.enum(['records', 'checkpoints']), 'records'),
});

export const everySchema = () => s.optional(durationSchema(1, 3600));

export const formatSchema = () => s.withDefault(s.enum(formatNames), 'native');

/** Entries in one call at most. */
export const batchSchema = () => s.withDefault(s.int().check(s.minimum(1), s.maximum(1000)), 500);

/** What a sink says of each call by itself: another value would stand beside it, or be passed over. */
const ownFields: ReadonlySet<string> = new Set(
  'content-type content-length content-encoding transfer-encoding connection host webhook-id webhook-timestamp webhook-signature'.split(
    ' ',
  ),
);

/** Of those that are called over HTTP. */
export const httpMembers = () => ({
  /** Header fields whose values are secrets. */
  headers: s.optional(
    s
      .record(
        s.string().check(s.regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'expected the name of a header field')),
        refSchema,
      )
      .check(
        s.refine((headers) => Object.keys(headers).length <= 16, 'expected at most 16 fields'),
        s.refine(
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
