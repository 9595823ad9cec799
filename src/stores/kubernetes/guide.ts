import type { StoreGuide } from '../guide.ts';
import type { KubernetesConfig } from '../kubernetes.ts';

/** From nothing to a first read: an issuer that API servers take users from, and the one right that user needs. */
export const guide: StoreGuide = (config, { issuer, audience, subject }) => {
  const { namespace } = config as KubernetesConfig;
  const [role, binding] = namespace === undefined ? ['clusterrole', 'clusterrolebinding'] : ['role', 'rolebinding'];
  const where = namespace === undefined ? '' : ` --namespace='${namespace}'`;
  const bind = (name: string, whom: string) => `kubectl create ${binding} ${name}${where} --${role}=hallpass ${whom}`;
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
      about: 'Let it read: with the name of a Secret in place of SECRET, --resource-name once for each',
      shell: [
        `kubectl create ${role} hallpass${where} --verb=get --resource=secrets --resource-name=SECRET`,
        bind('hallpass', `--user='hallpass:${subject}'`),
      ].join('\n'),
    },
    {
      about:
        'Or, where Hallpass runs in this cluster: the same for its own service account, in place of the first step and ' +
        'the user, and tokenFile in the entry of the store',
      shell: bind('hallpass-pod', '--serviceaccount=NAMESPACE:SERVICE_ACCOUNT'),
    },
  ];
};
