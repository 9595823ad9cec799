import * as s from '../lib/schema/index.ts';
import { audienceSchema } from '../sessions/login-schema.ts';
import {
  isVaultPath,
  vaultAccess,
  vaultAssertion,
  vaultLoginFaults,
  vaultNever,
  vaultPathSchema,
} from '../sessions/vault-access.ts';
import { cacheSchema } from './cache.ts';
import type { StorePlugIn } from './store.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('vault'),
    ...vaultAccess,
    /** Of the KV secrets engine. */
    mount: s.withDefault(vaultPathSchema, 'secret'),
    version: s.withDefault(s.union([s.literal(1), s.literal(2)], 'the KV engine is version 1 or 2'), 2),
    audience: audienceSchema,
    cache: cacheSchema,
  }),
);

export type VaultConfig = s.infer<typeof schema>;

/** A KV engine of HashiCorp Vault or OpenBao. With `role`, and no `tokenFile`, Hallpass shows its own assertion there. */
export const vault: StorePlugIn = {
  name: 'vault',
  about: 'HashiCorp Vault or OpenBao, KV version 1 or 2',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  never: vaultNever,
  nameFault(name, entry) {
    const { mount, version } = entry as VaultConfig;
    if (!isVaultPath(name)) return { message: 'a name is segments of letters, digits and _.- with / between them' };
    if (version === 1 || !name.startsWith(`${mount}/data/`)) return undefined;
    return { message: 'this is a path of the API', hint: 'write the name without the mount and data/', warning: true };
  },
  versionless: (entry) => (entry as VaultConfig).version === 1,
  unrotated: (entry) => ((entry as VaultConfig).version === 1 ? 'all' : undefined),
  check: vaultLoginFaults,
  assertion: vaultAssertion,
  async load() {
    const { open } = await import('./vault/open.ts');
    return { open: (config, deps) => open(config as VaultConfig, deps) };
  },
};
