import * as z from 'zod/mini';
import { later } from '../../lib/schema.ts';

/** The name of a bucket. */
export const bucketPattern = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** Each object is locked for so many days; the bucket must have object lock. */
export const lockSchema = z.optional(
  later(() =>
    z.strictObject({
      mode: z.enum(['governance', 'compliance']),
      days: z.int().check(z.minimum(1), z.maximum(36_500)),
    }),
  ),
);
