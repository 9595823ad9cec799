import { audience, nowSeconds } from './issuer.ts';

export const clusterIssuer = 'https://oidc.eks.eu-west-1.amazonaws.com/id/ABC';

/** The claims of a job on a push, with every member GitHub sends. */
export const job = (changes: Record<string, unknown> = {}) => ({
  jti: 'f2b7b5c4-0000-4000-8000-000000000001',
  sub: 'repo:acme/shop:ref:refs/heads/main',
  aud: audience,
  ref: 'refs/heads/main',
  sha: 'f'.repeat(40),
  repository: 'acme/shop',
  repository_owner: 'acme',
  repository_owner_id: '9919',
  run_id: '1234567890',
  run_number: '7',
  run_attempt: '1',
  repository_visibility: 'private',
  repository_id: '456789',
  actor_id: '583231',
  actor: 'octocat',
  workflow: 'Deploy \u2013 t\u00e4glich \ud83d\ude80',
  head_ref: '',
  base_ref: '',
  event_name: 'push',
  ref_protected: 'true',
  ref_type: 'branch',
  workflow_ref: 'acme/shop/.github/workflows/deploy.yml@refs/heads/main',
  workflow_sha: 'f'.repeat(40),
  job_workflow_ref: 'acme/shop/.github/workflows/deploy.yml@refs/heads/main',
  job_workflow_sha: 'f'.repeat(40),
  runner_environment: 'github-hosted',
  enterprise: 'acme-inc',
  enterprise_id: '42',
  iss: 'https://token.actions.githubusercontent.com',
  nbf: nowSeconds - 310,
  exp: nowSeconds + 590,
  iat: nowSeconds - 10,
  ...changes,
});
/** The claims of a projected token of a pod. */
export const pod = (changes: Record<string, unknown> = {}, bound: Record<string, unknown> = {}) => ({
  aud: [audience],
  exp: nowSeconds + 3_607 - 20,
  iat: nowSeconds - 20,
  iss: clusterIssuer,
  jti: 'ea28ed49-0000-4000-8000-000000000002',
  'kubernetes.io': {
    namespace: 'shop',
    node: { name: 'node-1', uid: '646e7c5e-0000-4000-8000-000000000003' },
    pod: { name: 'checkout-6d9f', uid: '5e0bd49b-0000-4000-8000-000000000004' },
    serviceaccount: { name: 'checkout', uid: '14ee3fa4-0000-4000-8000-000000000005' },
    warnafter: nowSeconds + 3_600,
    ...bound,
  },
  nbf: nowSeconds - 20,
  sub: 'system:serviceaccount:shop:checkout',
  ...changes,
});
