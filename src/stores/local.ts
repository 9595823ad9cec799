import * as z from 'zod/mini';
import { later, refSchema } from '../lib/schema.ts';
import { cacheSchema } from './cache.ts';
import { isLocalName } from './local/name.ts';
import type { StorePlugIn } from './store.ts';

const schema = later(() =>
  z.strictObject({
    kind: z.literal('local'),
    path: z.string().check(z.minLength(1), z.maxLength(4096)),
    key: z.optional(refSchema),
    cache: cacheSchema,
  }),
);

export type LocalConfig = z.infer<typeof schema>;

export const local: StorePlugIn = {
  name: 'local',
  about: 'A folder of encrypted files',
  schema,
  runtimes: ['node'],
  nameFault: (name) =>
    isLocalName(name) ? undefined : { message: 'a name there is 1 to 256 characters, no control characters' },
  holds: (config) => [`the secrets sealed in ${(config as LocalConfig).path}`],
  async load() {
    const { open } = await import('./local/open.ts');
    return { open: (config, deps) => open(config as LocalConfig, deps) };
  },
};
