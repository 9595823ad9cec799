import * as z from 'zod/mini';
import { vaultAccess, vaultPathSchema } from '../sessions/vault-access.ts';
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
  versionless: (entry) => (entry as VaultConfig).version === 1,
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
