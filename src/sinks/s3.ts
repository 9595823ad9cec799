import { durationSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import { bucketPattern, lockSchema } from '../sessions/aws/bucket.ts';
import { originSchema, regionSchema } from '../sessions/aws/region.ts';
import { audienceSchema, awsTerms, roleSchema } from '../sessions/aws/terms.ts';
import { checkpointMembers, formatSchema, recordMembers } from './settings.ts';
import type { SinkPlugIn } from './sink.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('s3'),
    bucket: s.string().check(s.regex(bucketPattern, 'expected the name of a bucket')),
    prefix: s.optional(
      s.string().check(s.regex(/^[\w!*'().=-]+(\/[\w!*'().=-]+)*\/$/, 'expected a prefix such as logs/')),
    ),
    region: regionSchema,
    assume: s.optional(roleSchema),
    endpoint: s.optional(originSchema),
    sts: s.optional(originSchema),
    audience: audienceSchema,
    session: s.optional(durationSchema(900, 3600)),
    lock: lockSchema,
    format: formatSchema(),
    ...recordMembers(),
    ...checkpointMembers(),
    /** An object a second would be many. */
    every: s.withDefault(durationSchema(1, 3600), '1m'),
  }),
);

export type S3Config = s.infer<typeof schema>;

const ofAssume = ['audience', 'session', 'sts'] as const;

export const s3: SinkPlugIn = {
  name: 's3',
  about: 'Objects by hour in a bucket, never overwritten',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  never: {
    members: ['accesskeyid', 'secretaccesskey', 'accesskey', 'secretkey', 'sessiontoken', 'credentials', 'profile'],
    instead: 'log in with assume, or as what the platform runs Hallpass as',
  },
  check(config) {
    const entry = config as S3Config;
    if (entry.assume !== undefined) return [];
    return ofAssume
      .filter((name) => entry[name] !== undefined)
      .map((name) => ({ path: [name], message: `${name} goes with assume`, hint: 'name the role to assume' }));
  },
  assertion(config) {
    const { assume, audience } = config as S3Config;
    if (assume === undefined) return undefined;
    return awsTerms(audience, ({ store, session }) => ({
      tags: { 'hallpass-store': store, 'hallpass-session': session },
    }));
  },
  async load() {
    const { openS3 } = await import('./s3/open.ts');
    return { open: (config, deps) => openS3(config as S3Config, deps) };
  },
};
