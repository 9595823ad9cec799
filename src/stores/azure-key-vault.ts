import { urlSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import {
  audienceSchema,
  authorityFaults,
  azureTerms,
  clientSchema,
  cloudOf,
  identitySchema,
  isVaultName,
  tenantSchema,
  vaultSchema,
} from '../sessions/azure/cloud.ts';
import { cacheSchema } from './cache.ts';
import type { StorePlugIn } from './store.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('azure-key-vault'),
    vault: vaultSchema,
    tenant: s.optional(tenantSchema),
    client: s.optional(clientSchema),
    authority: s.optional(urlSchema),
    audience: audienceSchema,
    identity: identitySchema,
    cache: cacheSchema,
  }),
);

export type AzureKeyVaultConfig = s.infer<typeof schema>;

export const azureKeyVault: StorePlugIn = {
  name: 'azure-key-vault',
  about: 'Secrets of an Azure Key Vault',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  never: {
    members: ['clientsecret', 'secret', 'password', 'certificate', 'certificatepath', 'privatekey', 'accountkey'],
    instead: 'log in with tenant and client, or as a managed identity',
  },
  nameFault: (name) =>
    isVaultName(name) ? undefined : { message: 'a name there is letters, digits and dashes, at most 127' },
  check(config) {
    const { tenant, client, authority, audience, identity } = config as AzureKeyVaultConfig;
    if ((tenant === undefined) !== (client === undefined))
      return [{ path: [], message: 'tenant and client go together', hint: 'or leave both out: a managed identity' }];
    if (tenant !== undefined && identity !== undefined)
      return [{ path: ['identity'], message: 'a managed identity is used where no tenant and client are named' }];
    if (tenant === undefined && audience !== undefined)
      return [{ path: ['audience'], message: 'an audience goes with tenant and client' }];
    return authorityFaults(authority);
  },
  assertion(config) {
    const { tenant, vault, audience = cloudOf(vault).audience } = config as AzureKeyVaultConfig;
    return tenant === undefined ? undefined : azureTerms(audience);
  },
  async load() {
    const { open } = await import('./azure-key-vault/open.ts');
    return { open: (config, deps) => open(config as AzureKeyVaultConfig, deps) };
  },
};
