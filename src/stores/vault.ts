import * as z from 'zod/mini';
import { isVaultPath, vaultAccess, vaultPathSchema } from '../sessions/vault-access.ts';
import { cacheSchema } from './cache.ts';
import type { StorePlugIn } from './store.ts';

const schema = z.strictObject({
  kind: z.literal('vault'),
  ...vaultAccess,
  /** Of the KV secrets engine. */
  mount: z._default(vaultPathSchema, 'secret'),
  version: z._default(z.union([z.literal(1), z.literal(2)], 'the KV engine is version 1 or 2'), 2),
  audience: z.optional(
    z.string().check(z.regex(/^[\x21-\x7e]{1,255}$/, 'an audience is 1 to 255 printable characters')),
  ),
  cache: cacheSchema,
});

export type VaultConfig = z.infer<typeof schema>;

/** A KV engine of HashiCorp Vault or OpenBao. With `role`, and no `tokenFile`, Hallpass shows its own assertion there. */
export const vault: StorePlugIn = {
  name: 'vault',
  about: 'HashiCorp Vault or OpenBao, KV version 1 or 2',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  never: {
    members: ['token', 'roleid', 'secretid', 'username', 'password'],
    instead: 'log in with role, or with tokenFile',
  },
  nameFault(name, entry) {
    const { mount, version } = entry as VaultConfig;
    if (!isVaultPath(name)) return { message: 'a name is segments of letters, digits and _.- with / between them' };
    if (version === 1 || !name.startsWith(`${mount}/data/`)) return undefined;
    return { message: 'this is a path of the API', hint: 'write the name without the mount and data/', warning: true };
  },
  versionless: (entry) => (entry as VaultConfig).version === 1,
  check(entry) {
    const { auth, role, tokenFile } = entry as VaultConfig;
    if (auth === 'kubernetes' && role !== undefined && tokenFile === undefined) {
      const message =
        'a kubernetes auth method takes service account tokens, and with a role alone an assertion is shown';
      return [{ path: ['auth'], message, hint: 'add tokenFile, or name the path of a jwt auth method' }];
    }
    if (role !== undefined || tokenFile !== undefined) return [];
    const message = 'no role and no tokenFile: outside a cluster there is nothing to log in with';
    const hint = 'with a role it is our own assertion that logs in';
    return [{ path: [], warning: true, message, hint }];
  },
  assertion(entry) {
    const { role, tokenFile, address, audience } = entry as VaultConfig;
    if (role === undefined || tokenFile !== undefined) return undefined;
    return { audience: audience ?? address, algorithms: ['ES256', 'RS256'], ttl: 300 };
  },
  async load() {
    const { open } = await import('./vault/open.ts');
    return { open: (config, deps) => open(config as VaultConfig, deps) };
  },
};
