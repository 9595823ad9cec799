import * as z from 'zod/mini';
import { durationSchema, later, resourceSchema } from '../lib/schema.ts';
import {
  accountSchema,
  audienceSchema,
  federationFaults,
  googleTerms,
  originSchema,
  providerSchema,
} from '../sessions/google/names.ts';
import type { KindPlugIn } from './index.ts';

const text = later(() => z.string().check(z.minLength(1), z.maxLength(2048)));
const few = <T extends z.ZodMiniType>(item: T, most: number) => z.array(item).check(z.minLength(1), z.maxLength(most));

const schema = z.lazy(() =>
  z.strictObject({
    kind: z.literal('google-token'),
    account: accountSchema,
    scopes: few(
      z
        .string()
        .check(z.regex(/^[!#-[\]-~]{1,255}$/, 'expected a scope such as https://www.googleapis.com/auth/pubsub')),
      50,
    ),
    delegates: z.optional(few(accountSchema, 10)),
    boundary: z.optional(
      z.strictObject({
        accessBoundaryRules: few(
          z.strictObject({
            availableResource: text,
            availablePermissions: few(text, 50),
            availabilityCondition: z.optional(
              z.strictObject({ expression: text, title: z.optional(text), description: z.optional(text) }),
            ),
          }),
          10,
        ),
      }),
    ),
    provider: z.optional(providerSchema),
    audience: audienceSchema,
    sts: z.optional(originSchema),
    iam: z.optional(originSchema),
    ttl: z.optional(durationSchema(30, 43_200)),
    resource: z.optional(resourceSchema),
  }),
);

export type GoogleTokenConfig = z.infer<typeof schema>;

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
