import * as s from '../../lib/schema/index.ts';
import { originSchema, regionSchema } from '../../sessions/aws/region.ts';

const keyName = s.later(() =>
  s
    .string()
    .check(
      s.regex(
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
  wrap: s.optional(keyName),
  region: regionSchema,
  endpoint: s.optional(originSchema),
};

const entry = s.later(() => s.strictObject(members));

export type AwsKmsConfig = s.infer<typeof entry>;
