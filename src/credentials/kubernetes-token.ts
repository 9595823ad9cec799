import { durationSchema, resourceSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import {
  kubernetesAccess,
  kubernetesAssertion,
  kubernetesNever,
  namespaceSchema,
} from '../sessions/kubernetes-access.ts';
import type { KindPlugIn } from './index.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('kubernetes-token'),
    ...kubernetesAccess,
    namespace: namespaceSchema,
    serviceAccount: s
      .string()
      .check(
        s.regex(
          /^(?=.{1,253}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/,
          'a service account is lower-case letters, digits and .-',
        ),
      ),
    /** Whom the tokens are for; `audience` is whom the assertion is for that proves us to the API server. */
    audiences: s
      .array(s.string().check(s.regex(/^[\x21-\x7e]{1,255}$/, 'an audience is 1 to 255 printable characters')))
      .check(s.minLength(1), s.maxLength(8)),
    ttl: s.optional(durationSchema(30, 86_400)),
    resource: s.optional(resourceSchema),
  }),
);

export type KubernetesTokenConfig = s.infer<typeof schema>;

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
