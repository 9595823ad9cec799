import * as s from '../lib/schema/index.ts';
import {
  kubernetesAccess,
  kubernetesAssertion,
  kubernetesNever,
  namespaceSchema,
} from '../sessions/kubernetes-access.ts';
import { cacheSchema } from './cache.ts';
import { parseName } from './kubernetes/name.ts';
import type { StorePlugIn } from './store.ts';

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('kubernetes'),
    ...kubernetesAccess,
    namespace: s.optional(namespaceSchema),
    cache: cacheSchema,
  }),
);

export type KubernetesConfig = s.infer<typeof schema>;

/** Secrets of a cluster. Without `tokenFile` Hallpass's own assertion is the bearer, taken by structured authentication. */
export const kubernetes: StorePlugIn = {
  name: 'kubernetes',
  about: 'Kubernetes Secrets, by namespace, name and key',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  never: kubernetesNever,
  nameFault(name, entry) {
    const { namespace } = entry as KubernetesConfig;
    if (parseName(name, namespace) !== undefined) return undefined;
    const form = namespace === undefined ? 'NAMESPACE/SECRET/KEY or NAMESPACE/SECRET' : 'SECRET/KEY or SECRET';
    return { message: `a name here is ${form}, as the cluster could hold them` };
  },
  // What a Secret tells is when it was made.
  unrotated: () => 'dated',
  assertion: kubernetesAssertion,
  async load() {
    const { open } = await import('./kubernetes/open.ts');
    return { open: (config, deps) => open(config as KubernetesConfig, deps) };
  },
};
