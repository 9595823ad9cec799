import * as s from '../lib/schema/index.ts';
import {
  accountSchema,
  audienceSchema,
  federationFaults,
  googleTerms,
  originSchema,
  providerSchema,
} from '../sessions/google/names.ts';
import { cacheSchema } from './cache.ts';
import { isSecretName } from './google-secret-manager/name.ts';
import type { StorePlugIn } from './store.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('google-secret-manager'),
    project: s
      .string()
      .check(
        s.regex(
          /^(([a-z0-9.-]{1,100}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]|[1-9][0-9]{0,19})$/,
          'expected the id or the number of a project',
        ),
      ),
    location: s.optional(s.string().check(s.regex(/^[a-z][a-z0-9-]{1,30}$/, 'expected a region such as europe-west1'))),
    provider: s.optional(providerSchema),
    audience: audienceSchema,
    account: s.optional(accountSchema),
    endpoint: s.optional(originSchema),
    sts: s.optional(originSchema),
    iam: s.optional(originSchema),
    cache: cacheSchema,
  }),
);

export type GoogleSecretManagerConfig = s.infer<typeof schema>;

/** Secrets of one project; with `provider` by an assertion of our own, without it as what the platform runs us as. */
export const googleSecretManager: StorePlugIn = {
  name: 'google-secret-manager',
  about: 'Google Secret Manager, by workload identity federation or as the platform runs us',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  never: {
    members: ['credentials', 'credentialsfile', 'key', 'keyfile', 'keyfilename', 'privatekey', 'serviceaccountkey'],
    instead: 'log in with provider, or as what the platform runs Hallpass as',
  },
  nameFault: (name) =>
    isSecretName(name) ? undefined : { message: 'a name there is letters, digits, _ and -, at most 255' },
  check: (config) => federationFaults(config as GoogleSecretManagerConfig),
  assertion: (config) => googleTerms(config as GoogleSecretManagerConfig),
  async load() {
    const { open } = await import('./google-secret-manager/open.ts');
    return { open: (config, deps) => open(config as GoogleSecretManagerConfig, deps) };
  },
};
