import type { JsonObject } from '../../lib/strict-json.ts';
import type { StoreGuide } from '../guide.ts';
import type { KubernetesConfig } from '../kubernetes.ts';

/** From nothing to a first read: an issuer that API servers take users from, and the one right that user needs. */
export const guide: StoreGuide = (config, { issuer, audience, subject }) => {
  const { namespace } = config as KubernetesConfig;
  const user = `hallpass:${subject}`;
  const [kind, where] = namespace === undefined ? ['clusterrole', ''] : ['role', ` --namespace='${namespace}'`];
  return [
    {
      about:
        'Let the API servers (1.34 and later) take this issuer’s tokens, of this subject alone; where its certificate is ' +
        'not publicly trusted, with issuer.certificateAuthority',
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
    {
      about: 'Let that user read these Secrets: their names in place of SECRET',
      file: { name: 'hallpass-access.json', json: access(namespace, user) },
      shell: 'kubectl apply -f hallpass-access.json',
    },
    {
      about:
        'Or, where Hallpass runs in this cluster and the store has tokenFile: not the first step, and the second for its ' +
        'service account',
      shell: `# kubectl create ${kind}binding hallpass-pod${where} --${kind}=hallpass --serviceaccount=NAMESPACE:NAME`,
    },
  ];
};

function access(namespace: string | undefined, user: string): JsonObject {
  const [kind, metadata] = namespace === undefined ? ['ClusterRole', {}] : ['Role', { namespace }];
  const of = (what: string) => ({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: what });
  const rule = { apiGroups: [''], resources: ['secrets'], resourceNames: ['SECRET'], verbs: ['get'] };
  const named = { name: 'hallpass', ...metadata };
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      { ...of(kind), metadata: named, rules: [rule] },
      {
        ...of(`${kind}Binding`),
        metadata: named,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: 'hallpass' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
      },
    ],
  };
}
