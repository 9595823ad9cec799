import { durationSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import { originSchema, regionSchema } from '../sessions/aws/region.ts';
import { audienceSchema, awsTerms, roleSchema } from '../sessions/aws/terms.ts';
import { isSecretName } from './aws-secrets-manager/name.ts';
import { cacheSchema } from './cache.ts';
import type { StorePlugIn } from './store.ts';

const tagText = (least: number, most: number) =>
  s
    .string()
    .check(
      s.regex(new RegExp(`^[\\w .:/=+@-]{${least},${most}}$`), `expected ${least} to ${most} of A-Za-z0-9 _.:/=+-@`),
    );

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('aws-secrets-manager'),
    region: regionSchema,
    assume: s.optional(roleSchema),
    endpoint: s.optional(originSchema),
    sts: s.optional(originSchema),
    audience: audienceSchema,
    tags: s.optional(
      s
        .record(tagText(1, 128), tagText(0, 256))
        .check(s.refine((tags) => Object.keys(tags).length <= 40, 'expected at most 40 tags')),
    ),
    sourceIdentity: s.optional(s.string().check(s.regex(/^[\w+=,.@-]{2,64}$/, 'expected 2 to 64 of A-Za-z0-9_+=,.@-'))),
    session: s.optional(durationSchema(900, 3600)),
    cache: cacheSchema,
  }),
);

export type AwsSecretsManagerConfig = s.infer<typeof schema>;

/** What of an entry says how to assume the role, and means nothing without one. */
const ofAssume = ['audience', 'tags', 'sourceIdentity', 'session'] as const;

export const awsSecretsManager: StorePlugIn = {
  name: 'aws-secrets-manager',
  about: 'Secrets of AWS Secrets Manager',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  never: {
    members: ['accesskeyid', 'secretaccesskey', 'accesskey', 'secretkey', 'sessiontoken', 'credentials', 'profile'],
    instead: 'log in with assume, or as what the platform runs Hallpass as',
  },
  nameFault: (name) =>
    isSecretName(name) ? undefined : { message: 'a name is an ARN, or up to 512 letters, digits and /_+=.@!-' },
  check(config) {
    const entry = config as AwsSecretsManagerConfig;
    if (entry.assume !== undefined)
      return Object.keys(entry.tags ?? {})
        .filter((name) => /^(aws:|hallpass-)/i.test(name))
        .map((name) => ({ path: ['tags', name], message: 'tags beginning with aws: and hallpass- are taken' }));
    return ofAssume
      .filter((name) => entry[name] !== undefined)
      .map((name) => ({ path: [name], message: `${name} goes with assume`, hint: 'name the role to assume' }));
  },
  assertion(config) {
    const { assume, audience, tags, sourceIdentity } = config as AwsSecretsManagerConfig;
    if (assume === undefined) return undefined;
    return awsTerms(audience, ({ store, session }) => ({
      tags: { ...tags, 'hallpass-store': store, 'hallpass-session': session },
      sourceIdentity,
    }));
  },
  async load() {
    const { open } = await import('./aws-secrets-manager/open.ts');
    return { open: (config, deps) => open(config as AwsSecretsManagerConfig, deps) };
  },
};
