import { durationSchema, resourceSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import {
  accountSchema,
  audienceSchema,
  federationFaults,
  googleTerms,
  originSchema,
  providerSchema,
} from '../sessions/google/names.ts';
import type { KindPlugIn } from './index.ts';

const text = s.later(() => s.string().check(s.minLength(1), s.maxLength(2048)));
const few = <T extends s.Schema>(item: T, most: number) => s.array(item).check(s.minLength(1), s.maxLength(most));

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('google-token'),
    account: accountSchema,
    scopes: few(
      s
        .string()
        .check(s.regex(/^[!#-[\]-~]{1,255}$/, 'expected a scope such as https://www.googleapis.com/auth/pubsub')),
      50,
    ),
    delegates: s.optional(few(accountSchema, 10)),
    boundary: s.optional(
      s.strictObject({
        accessBoundaryRules: few(
          s.strictObject({
            availableResource: text,
            availablePermissions: few(text, 50),
            availabilityCondition: s.optional(
              s.strictObject({ expression: text, title: s.optional(text), description: s.optional(text) }),
            ),
          }),
          10,
        ),
      }),
    ),
    provider: s.optional(providerSchema),
    audience: audienceSchema,
    sts: s.optional(originSchema),
    iam: s.optional(originSchema),
    ttl: s.optional(durationSchema(30, 43_200)),
    resource: s.optional(resourceSchema),
  }),
);

export type GoogleTokenConfig = s.infer<typeof schema>;

/** An access token of a service account, for the scopes of the config and no others. */
export const googleToken: KindPlugIn = {
  name: 'google-token',
  about: 'An access token of a Google service account, for named scopes',
  made: 'read',
  exchange: { types: ['urn:ietf:params:oauth:token-type:access_token'], member: 'accessToken' },
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  check(config) {
    const { boundary, sts, ...rest } = config as GoogleTokenConfig;
    // A boundary is put on at the token service, whoever we are.
    return federationFaults(boundary === undefined ? { ...rest, sts } : rest);
  },
  assertion: (config) => googleTerms(config as GoogleTokenConfig),
  async load() {
    const { open } = await import('./google-token/open.ts');
    return { open: (config, deps) => open(config as GoogleTokenConfig, deps) };
  },
};
