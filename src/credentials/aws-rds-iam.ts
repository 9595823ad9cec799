import { durationSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import { originSchema, regionSchema } from '../sessions/aws/region.ts';
import { audienceSchema, awsTerms, roleSchema } from '../sessions/aws/terms.ts';
import { addressSchema } from './address.ts';
import type { KindPlugIn } from './index.ts';

const name = s.later(() =>
  s.string().check(s.regex(/^[^\p{Cc}\p{Cs}]{1,63}$/u, 'expected 1 to 63 characters, none a control character')),
);

const { host } = addressSchema(0);

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('aws-rds-iam'),
    engine: s.enum(['postgres', 'mysql']),
    region: regionSchema,
    host,
    port: s.optional(s.int().check(s.minimum(1), s.maximum(65_535))),
    database: s.optional(name),
    username: name,
    role: s.optional(roleSchema),
    audience: audienceSchema,
    sts: s.optional(originSchema),
    ttl: s.optional(durationSchema(30, 900)),
  }),
);

export type AwsRdsIamConfig = s.infer<typeof schema>;

/** A token in place of a password, by which a user that is there logs in to a database of Amazon's. */
export const awsRdsIam: KindPlugIn = {
  name: 'aws-rds-iam',
  about: 'A login token for a user of an RDS or Aurora database',
  made: 'read',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  check(config) {
    const { role, audience } = config as AwsRdsIamConfig;
    const lost = audience !== undefined && role === undefined;
    return lost ? [{ path: ['audience'], message: 'audience goes with role' }] : [];
  },
  assertion(config) {
    const { role, audience } = config as AwsRdsIamConfig;
    if (role === undefined) return undefined;
    return awsTerms(audience, ({ store, session }) => ({
      tags: { 'hallpass-credential': store, 'hallpass-session': session },
    }));
  },
  async load() {
    const { open } = await import('./aws-rds-iam/open.ts');
    return { open: (config, deps) => open(config as AwsRdsIamConfig, deps) };
  },
};
