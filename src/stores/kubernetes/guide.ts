import type { JsonObject } from '../../lib/strict-json.ts';
import type { GuideStep, PlatformGuide, StoreGuide } from '../guide.ts';
import type { KubernetesConfig } from '../kubernetes.ts';
import { parseName } from './name.ts';

/** From nothing to a first read: an issuer that API servers take users from, and the one right that user needs. */
export const guide: StoreGuide = (config, { issuer, audience, subject, names }) => {
  const { namespace } = config as KubernetesConfig;
  return [
    {
      about:
        'Let the API servers (1.34 and later) take this issuer’s tokens, of this subject alone; where its certificate is ' +
        'not publicly trusted, with issuer.certificateAuthority. An API server reads one such file: where it has one, add ' +
        'the item of jwt to that. Managed clusters may not offer it: run in the cluster then, with tokenFile in the entry',
      file: {
        name: 'hallpass-authentication.json',
        json: {
          apiVersion: 'apiserver.config.k8s.io/v1',
          kind: 'AuthenticationConfiguration',
          jwt: [
            {
              issuer: { url: issuer, audiences: [audience] },
              claimValidationRules: [{ claim: 'sub', requiredValue: subject }],
              claimMappings: { username: { claim: 'sub', prefix: 'hallpass:' } },
            },
          ],
        },
      },
      shell: '# kube-apiserver ... --authentication-config=/etc/kubernetes/hallpass-authentication.json',
    },
    reading(namespace, names, { apiGroup: rbac, kind: 'User', name: `hallpass:${subject}` }),
  ];
};

export const platform: PlatformGuide = {
  instead: 'leave tokenFile out of the entry',
  steps(config, names) {
    const { namespace } = config as KubernetesConfig;
    const step = reading(namespace, names, { kind: 'ServiceAccount', namespace: 'NAMESPACE', name: 'NAME' });
    const about = 'NAMESPACE and NAME are those of the service account that Hallpass runs as';
    return [{ ...step, about: `${step.about}. ${about}` }];
  },
};

const rbac = 'rbac.authorization.k8s.io';

function reading(namespace: string | undefined, names: readonly string[], reader: JsonObject): GuideStep {
  const known = secretsIn(namespace, names);
  const about =
    known.size > 0
      ? 'Leave to read the Secrets that the config names, and no other'
      : 'Leave to read these Secrets: their names in place of SECRET';
  const items =
    known.size > 0
      ? [...known].flatMap(([space, secrets]) => access(space, [...secrets], reader))
      : access(namespace, ['SECRET'], reader);
  return {
    about,
    file: { name: 'hallpass-access.json', json: { apiVersion: 'v1', kind: 'List', items } },
    shell: 'kubectl apply -f hallpass-access.json',
  };
}

/** The named Secrets, by namespace. */
function secretsIn(namespace: string | undefined, names: readonly string[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const name of names) {
    const parsed = parseName(name, namespace);
    if (parsed !== undefined)
      found.set(parsed.namespace, (found.get(parsed.namespace) ?? new Set()).add(parsed.secret));
  }
  return found;
}

function access(namespace: string | undefined, secrets: string[], reader: JsonObject): JsonObject[] {
  const [kind, metadata] = namespace === undefined ? ['ClusterRole', {}] : ['Role', { namespace }];
  const of = (what: string) => ({ apiVersion: `${rbac}/v1`, kind: what });
  const rule = { apiGroups: [''], resources: ['secrets'], resourceNames: secrets, verbs: ['get'] };
  const named = { name: 'hallpass', ...metadata };
  return [
    { ...of(kind), metadata: named, rules: [rule] },
    {
      ...of(`${kind}Binding`),
      metadata: named,
      roleRef: { apiGroup: rbac, kind, name: 'hallpass' },
      subjects: [reader],
    },
  ];
}
