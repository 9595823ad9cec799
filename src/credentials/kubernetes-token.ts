import * as z from 'zod/mini';
import { durationSchema, resourceSchema } from '../lib/schema.ts';
import {
  kubernetesAccess,
  kubernetesAssertion,
  kubernetesNever,
  namespaceSchema,
} from '../sessions/kubernetes-access.ts';
import type { KindPlugIn } from './index.ts';

const schema = z.lazy(() =>
  z.strictObject({
    kind: z.literal('kubernetes-token'),
    ...kubernetesAccess,
    namespace: namespaceSchema,
    serviceAccount: z
      .string()
      .check(
        z.regex(
          /^(?=.{1,253}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/,
          'a service account is lower-case letters, digits and .-',
        ),
      ),
    /** Whom the tokens are for; `audience` is whom the assertion is for that proves us to the API server. */
    audiences: z
      .array(z.string().check(z.regex(/^[\x21-\x7e]{1,255}$/, 'an audience is 1 to 255 printable characters')))
      .check(z.minLength(1), z.maxLength(8)),
    ttl: z.optional(durationSchema(30, 86_400)),
    resource: z.optional(resourceSchema),
  }),
);

export type KubernetesTokenConfig = z.infer<typeof schema>;

/** A token of a service account, for the audiences of the config and no others. */
export const kubernetesToken: KindPlugIn = {
  name: 'kubernetes-token',
  about: 'A token of a Kubernetes service account, for named audiences',
  made: 'read',
  exchange: {
    types: ['urn:ietf:params:oauth:token-type:jwt', 'urn:ietf:params:oauth:token-type:access_token'],
    member: 'token',
  },
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  never: kubernetesNever,
  assertion: kubernetesAssertion,
  async load() {
    const { open } = await import('./kubernetes-token/open.ts');
    return { open: (config, deps) => open(config as KubernetesTokenConfig, deps) };
  },
};
