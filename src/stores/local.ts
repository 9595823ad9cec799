import * as z from 'zod/mini';
import type { PlugIn } from '../lib/catalog.ts';
import { refSchema } from '../lib/schema.ts';
import { cacheSchema } from './cache.ts';
import type { StoreModule } from './store.ts';

const schema = z.strictObject({
  kind: z.literal('local'),
  path: z.string().check(z.minLength(1), z.maxLength(4096)),
  key: z.optional(refSchema),
  cache: cacheSchema,
});

export type LocalConfig = z.infer<typeof schema>;

export const local: PlugIn<StoreModule> = {
  name: 'local',
  about: 'A folder of encrypted files',
  schema,
  runtimes: ['node'],
  async load() {
    const { open } = await import('./local/open.ts');
    return { open: (config, deps) => open(config as LocalConfig, deps) };
  },
};
