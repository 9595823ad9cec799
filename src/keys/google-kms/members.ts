import * as s from '../../lib/schema/index.ts';
import { originSchema } from '../../sessions/google/names.ts';

const keyName = s.later(() =>
  s
    .string()
    .check(
      s.maxLength(300),
      s.regex(
        /^projects\/[a-z0-9.:-]{1,130}\/locations\/[a-z0-9-]{1,40}\/keyRings\/[\w-]{1,63}\/cryptoKeys\/[\w-]{1,63}$/,
        'expected projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY',
      ),
    ),
);

/**
 * What a config says of a key in Cloud KMS. `wrap` is the symmetric key that seals where `key` is not itself one; the
 * login is the platform's own.
 */
export const members = {
  key: keyName,
  wrap: s.optional(keyName),
  endpoint: s.optional(originSchema),
};

const entry = s.later(() => s.strictObject(members));

export type GoogleKmsConfig = s.infer<typeof entry>;
