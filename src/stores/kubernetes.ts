import * as z from 'zod/mini';
import { urlSchema } from '../lib/schema.ts';
import { caSchema } from '../lib/trust.ts';
import { cacheSchema } from './cache.ts';
import { parseName } from './kubernetes/name.ts';
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
  never: {
    members: [
      'token',
      'bearertoken',
      'username',
      'password',
      'kubeconfig',
      'clientcertificate',
      'clientkey',
      'cert',
      'key',
    ],
    instead: 'log in by an assertion that the cluster trusts, or with tokenFile',
  },
  nameFault(name, entry) {
    const { namespace } = entry as KubernetesConfig;
    if (parseName(name, namespace) !== undefined) return undefined;
    const form = namespace === undefined ? 'NAMESPACE/SECRET/KEY or NAMESPACE/SECRET' : 'SECRET/KEY or SECRET';
    return { message: `a name here is ${form}, as the cluster could hold them` };
  },
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
