import * as z from 'zod/mini';
import { later } from '../../lib/schema.ts';
import { originSchema, regionSchema } from '../../sessions/aws/region.ts';

const keyName = later(() =>
  z
    .string()
    .check(
      z.regex(
        /^(arn:aws(-[a-z]+)*:kms:[a-z0-9-]{1,32}:[0-9]{12}:)?(key\/|alias\/|(?=[0-9a-f-]{36}$|mrk-))[\w/-]{1,250}$/,
        'expected the ARN or id of a key, or alias/NAME',
      ),
    ),
);

/**
 * What a config says of a key in AWS KMS. `wrap` is the symmetric key that seals where `key` is none itself; the login is
 * the platform's own.
 */
export const members = {
  key: keyName,
  wrap: z.optional(keyName),
  region: regionSchema,
  endpoint: z.optional(originSchema),
};

const entry = later(() => z.strictObject(members));

export type AwsKmsConfig = z.infer<typeof entry>;
