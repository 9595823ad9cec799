import * as z from 'zod/mini';
import { urlSchema } from '../../lib/schema.ts';

/** A provider of a workload identity pool by its resource name, without `//iam.googleapis.com/` before it. */
export const providerSchema = z
  .string()
  .check(
    z.regex(
      /^projects\/[1-9][0-9]{0,19}\/locations\/global\/workloadIdentityPools\/[a-z0-9-]{4,32}\/providers\/[a-z0-9-]{4,32}$/,
      'expected projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER and nothing before it',
    ),
  );

/** A service account by its address. */
export const accountSchema = z
  .string()
  .check(
    z.maxLength(255),
    z.regex(
      /^[a-z0-9][a-z0-9-]{0,62}@[a-z0-9.-]{1,180}\.gserviceaccount\.com$/,
      'expected the address of a service account, NAME@PROJECT.iam.gserviceaccount.com',
    ),
  );

/** Where an API is called in place of its public address: scheme, host and port, as the paths are Google's. */
export const originSchema = urlSchema.check(
  z.refine((text) => !URL.canParse(text) || new URL(text).origin === text, 'expected a URL without a path'),
);
