import { openVault } from '../../sessions/vault.ts';
import type { Store, StoreDeps } from '../store.ts';
import type { VaultConfig } from '../vault.ts';
import { openKv1 } from './kv1.ts';
import { openKv2 } from './kv2.ts';

export function open(config: VaultConfig, deps: StoreDeps): Store {
  const vault = openVault(config, deps);
  return config.version === 1 ? openKv1(vault, config.mount) : openKv2(vault, config.mount, deps.now);
}
