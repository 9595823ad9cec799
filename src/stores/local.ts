import { refSchema } from '../lib/common-schemas.ts';
import * as s from '../lib/schema/index.ts';
import { cacheSchema } from './cache.ts';
import { isLocalName } from './local/name.ts';
import type { StorePlugIn } from './store.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('local'),
    path: s.string().check(s.minLength(1), s.maxLength(4096)),
    key: s.optional(refSchema),
    cache: cacheSchema,
  }),
);

export type LocalConfig = s.infer<typeof schema>;

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
