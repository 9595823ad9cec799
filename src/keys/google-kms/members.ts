import * as z from 'zod/mini';
import { later } from '../../lib/schema.ts';
import { originSchema } from '../../sessions/google/names.ts';

const keyName = later(() =>
  z
    .string()
    .check(
      z.maxLength(300),
      z.regex(
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
  wrap: z.optional(keyName),
  endpoint: z.optional(originSchema),
};

const entry = later(() => z.strictObject(members));

export type GoogleKmsConfig = z.infer<typeof entry>;
