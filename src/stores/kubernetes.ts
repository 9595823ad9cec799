import * as z from 'zod/mini';
import { urlSchema } from '../lib/schema.ts';
import { caSchema } from '../lib/trust.ts';
import { cacheSchema } from './cache.ts';
import type { StorePlugIn } from './store.ts';

const schema = z.strictObject({
  kind: z.literal('kubernetes'),
  server: urlSchema,
  namespace: z.optional(
    z
      .string()
      .check(z.regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a namespace is lower-case letters, digits and -')),
  ),
  ca: caSchema,
  tokenFile: z.optional(z.string().check(z.minLength(1), z.maxLength(4096))),
  audience: z.optional(
    z.string().check(z.regex(/^[\x21-\x7e]{1,255}$/, 'an audience is 1 to 255 printable characters')),
  ),
  cache: cacheSchema,
});

export type KubernetesConfig = z.infer<typeof schema>;

/** Secrets of a cluster. Without `tokenFile` Hallpass's own assertion is the bearer, taken by structured authentication. */
export const kubernetes: StorePlugIn = {
  name: 'kubernetes',
  about: 'Kubernetes Secrets, by namespace, name and key',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  assertion(entry) {
    const { server, audience, tokenFile } = entry as KubernetesConfig;
    if (tokenFile !== undefined) return undefined;
    return { audience: audience ?? server, algorithms: ['ES256', 'RS256'], ttl: 300 };
  },
  async load() {
    const { open } = await import('./kubernetes/open.ts');
    return { open: (config, deps) => open(config as KubernetesConfig, deps) };
  },
};
