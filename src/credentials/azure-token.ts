import { durationSchema, resourceSchema, urlSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import {
  audienceSchema,
  authorityFaults,
  azureTerms,
  clientSchema,
  cloudAt,
  tenantSchema,
} from '../sessions/azure/cloud.ts';
import type { KindPlugIn } from './index.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('azure-token'),
    tenant: tenantSchema,
    client: clientSchema,
    scope: s
      .string()
      .check(s.regex(/^[!-~]{1,247}\/\.default$/, 'expected one resource, as in https://graph.microsoft.com/.default')),
    authority: s.optional(urlSchema),
    audience: audienceSchema,
    ttl: s.optional(durationSchema(30, 86_400)),
    resource: s.optional(resourceSchema),
  }),
);

export type AzureTokenConfig = s.infer<typeof schema>;

/** An access token of an app registration, for one resource. */
export const azureToken: KindPlugIn = {
  name: 'azure-token',
  about: 'An access token of Entra ID, for one resource',
  made: 'read',
  exchange: { types: ['urn:ietf:params:oauth:token-type:access_token'], member: 'accessToken' },
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  check: (config) => authorityFaults((config as AzureTokenConfig).authority),
  assertion(config) {
    const { authority, audience = cloudAt(authority).audience } = config as AzureTokenConfig;
    return azureTerms(audience);
  },
  async load() {
    const { open } = await import('./azure-token/open.ts');
    return { open: (config, deps) => open(config as AzureTokenConfig, deps) };
  },
};
