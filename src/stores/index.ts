import type { PlugIn } from '../lib/catalog.ts';
import { env } from './env.ts';
import { local } from './local.ts';
import type { StoreModule } from './store.ts';

/** Every store Hallpass knows, by its `kind` in the config. */
export const stores: readonly PlugIn<StoreModule>[] = [local, env];
