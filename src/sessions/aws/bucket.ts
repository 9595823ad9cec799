import * as s from '../../lib/schema/index.ts';

/** The name of a bucket. */
export const bucketPattern = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** Each object is locked for so many days; the bucket must have object lock. */
export const lockSchema = s.optional(
  s.later(() =>
    s.strictObject({
      mode: s.enum(['governance', 'compliance']),
      days: s.int().check(s.minimum(1), s.maximum(36_500)),
    }),
  ),
);
