import * as z from 'zod/mini';
import { urlSchema } from '../lib/schema.ts';
import { cloudOf, identitySchema, isVaultName, vaultSchema } from '../sessions/azure/cloud.ts';
import { cacheSchema } from './cache.ts';
import type { StorePlugIn } from './store.ts';

const schema = z.strictObject({
  kind: z.literal('azure-key-vault'),
  vault: vaultSchema,
  tenant: z.optional(
    z.string().check(
      z.regex(/^[0-9A-Za-z][0-9A-Za-z.-]{0,126}$/, "expected the tenant's id or domain"),
      z.refine((text) => !/^(common|organizations|consumers)$/.test(text), 'name the one tenant'),
    ),
  ),
  client: z.optional(
    z
      .string()
      .check(z.regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'expected the client id of an app registration')),
  ),
  authority: z.optional(urlSchema),
  audience: z.optional(z.string().check(z.regex(/^[\x21-\x7e]{1,255}$/, 'expected printable ASCII without spaces'))),
  identity: identitySchema,
  cache: cacheSchema,
});

export type AzureKeyVaultConfig = z.infer<typeof schema>;

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
    if (authority?.endsWith('/')) return [{ path: ['authority'], message: 'write it without the slash at the end' }];
    return [];
  },
  assertion(config) {
    const { tenant, vault, audience = cloudOf(vault).audience } = config as AzureKeyVaultConfig;
    // Entra takes no other algorithm of a federated issuer.
    return tenant === undefined ? undefined : { audience, algorithms: ['RS256'], ttl: 300 };
  },
  async load() {
    const { open } = await import('./azure-key-vault/open.ts');
    return { open: (config, deps) => open(config as AzureKeyVaultConfig, deps) };
  },
};
