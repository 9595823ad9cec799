import { audience, nowSeconds, type TestKey } from './issuer.ts';

/** What a preset must make of a platform's own token. */
export interface Platform {
  readonly preset: string;
  /** The config entry, keys aside. */
  readonly entry: Readonly<Record<string, unknown>>;
  /** The claims as the platform's documentation shows them, with ids that are nobody's. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly alg: 'RS256' | 'ES256' | 'ES384';
  readonly lifetime: number;
  /** `name` after the issuer's, and what its members are at least. */
  readonly path: string;
  readonly members: Readonly<Record<string, string | number | boolean>>;
  /** At least. */
  readonly disclosed: Readonly<Record<string, unknown>>;
  /** Changes of claims that make it another tenant's. */
  readonly foreign: readonly Readonly<Record<string, unknown>>[];
  /** Changes that contradict, lack or mistype something. */
  readonly wrong: readonly (readonly [what: string, changes: Readonly<Record<string, unknown>>])[];
}

/** Good until ten minutes from now, `iat` ten seconds ago. */
const times = { iat: nowSeconds - 10, nbf: nowSeconds - 10, exp: nowSeconds + 590 };
const { nbf: _, ...withoutNbf } = times;

const uuid = (last: number) => `00000000-0000-4000-8000-${String(last).padStart(12, '0')}`;

const gitlabClaims = {
  namespace_id: '72',
  namespace_path: 'acme/platform',
  project_id: '20',
  project_path: 'acme/platform/shop',
  user_id: '1',
  user_login: 'sample-user',
  user_email: 'sample-user@example.com',
  user_access_level: 'developer',
  user_identities: [{ provider: 'github', extern_uid: '2435223452345' }],
  job_project_id: '20',
  job_project_path: 'acme/platform/shop',
  job_namespace_id: '72',
  job_namespace_path: 'acme/platform',
  pipeline_id: '574',
  pipeline_source: 'push',
  job_id: '302',
  ref: 'feature/1',
  ref_type: 'branch',
  ref_path: 'refs/heads/feature/1',
  ref_protected: 'false',
  groups_direct: ['acme/platform'],
  environment: 'production',
  environment_protected: 'true',
  deployment_tier: 'production',
  environment_action: 'start',
  runner_id: 1,
  runner_environment: 'self-hosted',
  sha: 'f'.repeat(40),
  project_visibility: 'private',
  ci_config_ref_uri: null,
  ci_config_sha: null,
  jti: uuid(1),
  iss: 'https://gitlab.com',
  ...times,
  nbf: nowSeconds - 15,
  sub: 'project_path:acme/platform/shop:ref_type:branch:ref:feature/1',
  aud: audience,
};

const awsIssuer = 'https://00000000-0000-4000-8000-00000000a001.tokens.sts.global.api.aws';
const sts = 'https://sts.amazonaws.com/';
const awsClaims = {
  iss: awsIssuer,
  aud: audience,
  sub: 'arn:aws:iam::123456789012:role/data/Processing',
  ...withoutNbf,
  jti: uuid(2),
  [sts]: {
    aws_account: '123456789012',
    source_region: 'eu-west-1',
    org_id: 'o-abc1234567',
    ou_path: ['o-abc1234567/r-ab12/ou-ab12-11111111/'],
    principal_id: 'arn:aws:iam::123456789012:role/data/Processing',
    principal_tags: { team: 'data' },
    lambda_source_function_arn: 'arn:aws:lambda:eu-west-1:123456789012:function:process',
    request_tags: { 'job-id': 'job-1' },
  },
};
const ofAws = (changes: Record<string, unknown>) => ({ [sts]: { ...awsClaims[sts], ...changes } });

const vm = {
  project_id: 'acme-core',
  project_number: 739419398126,
  zone: 'europe-west1-b',
  instance_id: '152986662232938449',
  instance_name: 'checkout-1',
  instance_creation_timestamp: nowSeconds - 86_400,
  license_id: ['1000204'],
};
const gcpClaims = {
  iss: 'https://accounts.google.com',
  aud: audience,
  azp: '107517467455664443765',
  sub: '107517467455664443765',
  email: 'checkout@acme-core.iam.gserviceaccount.com',
  email_verified: true,
  google: { compute_engine: vm },
  ...withoutNbf,
};
const ofVm = (changes: Record<string, unknown>) => ({ google: { compute_engine: { ...vm, ...changes } } });

const tenant = uuid(10);
const mirid = `/subscriptions/${uuid(12)}/resourcegroups/shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities/checkout`;
const entraClaims = {
  aud: audience,
  iss: `https://login.microsoftonline.com/${tenant}/v2.0`,
  ...times,
  aio: 'k2RgYFi0',
  azp: uuid(13),
  azpacr: '2',
  idtyp: 'app',
  oid: uuid(14),
  rh: '0.AAAA',
  sub: uuid(14),
  tid: tenant,
  uti: 'AbCd',
  ver: '2.0',
  xms_mirid: mirid,
};
const { azp, azpacr: __, ...entraShared } = entraClaims;
const entraV1Claims = {
  ...entraShared,
  iss: `https://sts.windows.net/${tenant}/`,
  appid: azp,
  appidacr: '2',
  idp: `https://sts.windows.net/${tenant}/`,
  ver: '1.0',
};

const spiffeClaims = { aud: [audience], exp: nowSeconds + 300, sub: 'spiffe://example.org/ns/shop/sa/checkout' };

const vercelClaims = {
  iss: 'https://oidc.vercel.com/acme',
  sub: 'owner:acme:project:shop:environment:production',
  scope: 'owner:acme:project:shop:environment:production',
  aud: audience,
  owner: 'acme',
  owner_id: 'team_0000000000000000000000000',
  project: 'shop',
  project_id: 'prj_0000000000000000000000000',
  environment: 'production',
  plan: 'pro',
  ...times,
};

const circle = 'oidc.circleci.com/';
const circleClaims = {
  aud: audience,
  iss: `https://oidc.circleci.com/org/${uuid(20)}`,
  ...withoutNbf,
  [`${circle}org-id`]: uuid(20),
  [`${circle}project-id`]: uuid(21),
  [`${circle}context-ids`]: [uuid(22)],
  [`${circle}pipeline-definition-id`]: uuid(23),
  [`${circle}pipeline-id`]: uuid(24),
  [`${circle}workflow-id`]: uuid(25),
  [`${circle}job-id`]: uuid(26),
  [`${circle}ssh-rerun`]: false,
  [`${circle}vcs-origin`]: 'github.com/acme/shop',
  [`${circle}vcs-ref`]: 'refs/heads/main',
  sub: `org/${uuid(20)}/project/${uuid(21)}/user/${uuid(27)}`,
};

const buildkiteClaims = {
  iss: 'https://agent.buildkite.com',
  sub: `organization:acme:pipeline:shop:ref:refs/heads/main:commit:${'f'.repeat(40)}:step:build`,
  aud: audience,
  ...times,
  organization_slug: 'acme',
  organization_id: uuid(30),
  pipeline_slug: 'shop',
  pipeline_id: uuid(31),
  build_number: 7,
  build_branch: 'main',
  build_tag: null,
  build_commit: 'f'.repeat(40),
  build_source: 'webhook',
  step_key: 'build',
  job_id: uuid(32),
  agent_id: uuid(33),
  runner_environment: 'self-hosted',
};

const terraformClaims = {
  jti: uuid(40),
  iss: 'https://app.terraform.io',
  aud: audience,
  ...times,
  sub: 'organization:acme:project:Default Project:workspace:shop:run_phase:apply',
  terraform_organization_id: 'org-0000000000000000',
  terraform_organization_name: 'acme',
  terraform_project_id: 'prj-0000000000000000',
  terraform_project_name: 'Default Project',
  terraform_workspace_id: 'ws-0000000000000000',
  terraform_workspace_name: 'shop',
  terraform_full_workspace: 'organization:acme:project:Default Project:workspace:shop',
  terraform_run_id: 'run-0000000000000000',
  terraform_run_phase: 'apply',
};
const { terraform_workspace_id: wid, terraform_run_phase: ___, ...withoutWorkspace } = terraformClaims;
export const terraformStackClaims = {
  ...withoutWorkspace,
  sub: 'organization:acme:project:Default Project:stack:shop:deployment:eu:operation:plan',
  terraform_workspace_name: undefined,
  terraform_full_workspace: undefined,
  terraform_stack_id: 'st-0000000000000000',
  terraform_stack_name: 'shop',
  terraform_stack_deployment_name: 'eu',
  terraform_operation: 'plan',
};

const flyClaims = {
  app_id: '3671581',
  app_name: 'shop',
  aud: audience,
  ...times,
  image: 'registry.fly.io/shop:1',
  image_digest: `sha256:${'0'.repeat(64)}`,
  iss: 'https://oidc.fly.io/acme',
  jti: uuid(50),
  machine_id: '3d8d377ce9e398',
  machine_name: 'ancient-snow-4824',
  machine_version: '01HZXXXXXXXXXXXXXXXXXXXXXX',
  org_id: '29873298',
  org_name: 'acme',
  region: 'yyz',
  sub: 'acme:shop:ancient-snow-4824',
};

/** Of each claim: absent, empty, and of another type. */
const mistyped = (...names: string[]) =>
  names.flatMap((name) => [
    [`no ${name}`, { [name]: undefined }] as const,
    [`an empty ${name}`, { [name]: '' }] as const,
    [`a ${name} that is a list`, { [name]: ['x'] }] as const,
    [`a ${name} that is a number`, { [name]: 1 }] as const,
  ]);

export const platforms: readonly Platform[] = [
  {
    preset: 'gitlab',
    entry: { namespace: { id: '72', name: 'acme/platform' } },
    claims: gitlabClaims,
    alg: 'RS256',
    lifetime: 3600,
    path: 'acme/platform/shop@feature%2F1',
    members: { project_id: '20', namespace_id: '72', ref_protected: 'false', environment: 'production', runner_id: 1 },
    disclosed: { user_login: 'sample-user', project_path: 'acme/platform/shop' },
    foreign: [{ namespace_id: '73' }, { namespace_id: '072' }, { namespace_id: '72 ' }],
    wrong: [
      ...mistyped('namespace_id', 'namespace_path', 'project_id', 'project_path', 'ref', 'ref_type', 'pipeline_source'),
      ['a runner_id that is a string', { runner_id: '1' }],
      ['an environment that is an object', { environment: { name: 'production' } }],
      ['a ref_protected that is true', { ref_protected: true }],
      ['another project in sub', { sub: 'project_path:acme/platform/other:ref_type:branch:ref:feature/1' }],
      ['a longer project in sub', { sub: 'project_path:acme/platform/shop-evil:ref_type:branch:ref:feature/1' }],
      ['another branch in sub', { sub: 'project_path:acme/platform/shop:ref_type:branch:ref:main' }],
      ['a tag in sub', { sub: 'project_path:acme/platform/shop:ref_type:tag:ref:feature/1' }],
      ['a sub of another kind', { sub: 'user:sample-user' }],
      ['a namespace that is not the project’s', { namespace_path: 'evil' }],
    ],
  },
  {
    preset: 'aws',
    entry: { issuer: awsIssuer, account: '123456789012', organization: 'o-abc1234567' },
    claims: awsClaims,
    alg: 'ES384',
    lifetime: 3600,
    path: '123456789012/data/Processing',
    members: {
      arn: 'arn:aws:iam::123456789012:role/data/Processing',
      aws_account: '123456789012',
      org_id: 'o-abc1234567',
      source_region: 'eu-west-1',
      lambda_source_function_arn: 'arn:aws:lambda:eu-west-1:123456789012:function:process',
    },
    disclosed: {
      [sts]: { aws_account: '123456789012', principal_tags: { team: 'data' }, request_tags: { 'job-id': 'job-1' } },
    },
    foreign: [ofAws({ aws_account: '999999999999' }), ofAws({ org_id: 'o-other12345' }), ofAws({ org_id: undefined })],
    wrong: [
      ['no claims of its own', { [sts]: undefined }],
      ['claims of its own that are a list', { [sts]: [] }],
      ['flat claims', { [sts]: undefined, aws_account: '123456789012', org_id: 'o-abc1234567' }],
      ['no account', ofAws({ aws_account: undefined })],
      ['an account that is a number', ofAws({ aws_account: 123456789012 })],
      ['a region that is a list', ofAws({ source_region: ['eu-west-1'] })],
      ['a role of another account', { sub: 'arn:aws:iam::999999999999:role/data/Processing' }],
      ['an assumed role session', { sub: 'arn:aws:sts::123456789012:assumed-role/Processing/x' }],
      ['a sub that is no ARN', { sub: 'Processing' }],
    ],
  },
  {
    preset: 'gcp',
    entry: { accounts: ['107517467455664443765'], project: { number: 739419398126, id: 'acme-core' } },
    claims: gcpClaims,
    alg: 'RS256',
    lifetime: 3600,
    path: 'acme-core/checkout',
    members: {
      sub: '107517467455664443765',
      email: 'checkout@acme-core.iam.gserviceaccount.com',
      project_number: 739419398126,
      instance_id: '152986662232938449',
    },
    disclosed: {
      email: 'checkout@acme-core.iam.gserviceaccount.com',
      google: { compute_engine: { project_id: 'acme-core', instance_name: 'checkout-1' } },
    },
    foreign: [
      { sub: '207517467455664443765', azp: '207517467455664443765' },
      ofVm({ project_number: 1 }),
      ofVm({ project_number: undefined }),
      { google: undefined },
    ],
    wrong: [
      ...mistyped('azp'),
      ['a sub that is no id', { sub: 'checkout@acme-core.iam.gserviceaccount.com' }],
      ['a nonce, as of a person who signed in', { nonce: 'n' }],
      ['at_hash, as of a person who signed in', { at_hash: 'h' }],
      ['an email that is not verified', { email_verified: false }],
      ['an email of which nothing is said', { email_verified: undefined }],
      ['an email verified by a text', { email_verified: 'true' }],
      ['an email that is a list', { email: ['checkout@acme-core.iam.gserviceaccount.com'] }],
      ['a project number that is a text', ofVm({ project_number: '739419398126' })],
      ['an instance id that is a number', ofVm({ instance_id: 152986662232938 })],
      ['a google claim that is a text', { google: 'x' }],
    ],
  },
  {
    preset: 'azure',
    entry: { tenant },
    claims: entraClaims,
    alg: 'RS256',
    lifetime: 25 * 3600,
    path: `${uuid(13)}/checkout`,
    members: { tid: tenant, oid: uuid(14), appid: uuid(13), xms_mirid: mirid, idtyp: 'app' },
    disclosed: { azp: uuid(13), oid: uuid(14) },
    foreign: [{ tid: uuid(11) }],
    wrong: [
      ...mistyped('tid', 'oid', 'azp'),
      ['an application under its name in version 1.0', { azp: undefined, appid: uuid(13) }],
      ['the other version', { ver: '1.0' }],
      ['no version', { ver: undefined }],
      ['a nonce, as of a person who signed in', { nonce: 'n' }],
      ['the type of a user', { idtyp: 'user' }],
      ['no type and another subject than itself', { idtyp: undefined, sub: 'pairwise' }],
      ['scopes, which act for a person', { scp: 'access_as_user' }],
      ['a resource that is a list', { xms_mirid: [mirid] }],
    ],
  },
  {
    preset: 'spiffe',
    entry: { trustDomain: 'example.org' },
    claims: spiffeClaims,
    alg: 'ES256',
    lifetime: 3600,
    path: 'ns/shop/sa/checkout',
    members: {
      id: 'spiffe://example.org/ns/shop/sa/checkout',
      trustDomain: 'example.org',
      path: '/ns/shop/sa/checkout',
    },
    disclosed: {},
    foreign: [],
    wrong: [
      ['no path', { sub: 'spiffe://example.org' }],
      ['an empty path', { sub: 'spiffe://example.org/' }],
      ['a slash at the end', { sub: 'spiffe://example.org/ns/' }],
      ['an empty segment', { sub: 'spiffe://example.org/ns//sa' }],
      ['a relative segment', { sub: 'spiffe://example.org/ns/../sa' }],
      ['a segment of one dot', { sub: 'spiffe://example.org/./sa' }],
      ['percent-encoding', { sub: 'spiffe://example.org/ns%2Fshop' }],
      ['a query', { sub: 'spiffe://example.org/ns?x=1' }],
    ],
  },
  {
    preset: 'vercel',
    entry: { issuer: 'https://oidc.vercel.com/acme', team: { id: 'team_0000000000000000000000000', slug: 'acme' } },
    claims: vercelClaims,
    alg: 'RS256',
    lifetime: 3600,
    path: 'acme/shop@production',
    members: { owner_id: 'team_0000000000000000000000000', project_id: 'prj_0000000000000000000000000' },
    disclosed: { owner: 'acme', project: 'shop', environment: 'production' },
    foreign: [{ owner_id: 'team_1111111111111111111111111' }],
    wrong: [
      ...mistyped('owner', 'owner_id', 'project', 'project_id', 'environment'),
      ['another project in sub', { sub: 'owner:acme:project:other:environment:production' }],
      ['another environment in sub', { sub: 'owner:acme:project:shop:environment:preview' }],
    ],
  },
  {
    preset: 'circleci',
    entry: { organization: { id: uuid(20), name: 'acme' } },
    claims: circleClaims,
    alg: 'RS256',
    lifetime: 3600,
    path: 'github.com/acme/shop@main',
    members: { 'org-id': uuid(20), 'project-id': uuid(21), 'ssh-rerun': false, 'vcs-ref': 'refs/heads/main' },
    disclosed: { [`${circle}context-ids`]: [uuid(22)], [`${circle}vcs-origin`]: 'github.com/acme/shop' },
    foreign: [
      { [`${circle}org-id`]: uuid(29) },
      { [`${circle}org-id`]: undefined, sub: `org/${uuid(29)}/project/${uuid(21)}/user/${uuid(27)}` },
    ],
    wrong: [
      ...mistyped(`${circle}project-id`),
      ['an ssh-rerun that is a text', { [`${circle}ssh-rerun`]: 'false' }],
      ['an organization that is a list', { [`${circle}org-id`]: [uuid(20)] }],
      ['another project in sub', { sub: `org/${uuid(20)}/project/${uuid(29)}/user/${uuid(27)}` }],
    ],
  },
  {
    preset: 'buildkite',
    entry: { organization: { id: uuid(30), slug: 'acme' } },
    claims: buildkiteClaims,
    alg: 'RS256',
    lifetime: 3600,
    path: 'acme/shop@main',
    members: { organization_id: uuid(30), pipeline_id: uuid(31), build_number: 7, runner_environment: 'self-hosted' },
    disclosed: { organization_slug: 'acme', build_branch: 'main', build_number: 7 },
    foreign: [{ organization_id: uuid(39) }],
    wrong: [
      ...mistyped('organization_slug', 'organization_id', 'pipeline_slug', 'build_branch', 'job_id'),
      ['a build number that is a text', { build_number: '7' }],
      ['another pipeline in sub', { sub: 'organization:acme:pipeline:other:ref:refs/heads/main:commit:f:step:build' }],
      [
        'another organization in sub',
        { sub: 'organization:evil:pipeline:shop:ref:refs/heads/main:commit:f:step:build' },
      ],
    ],
  },
  {
    preset: 'terraform-cloud',
    entry: { organization: { id: 'org-0000000000000000', name: 'acme' } },
    claims: terraformClaims,
    alg: 'RS256',
    lifetime: 25 * 3600,
    path: 'acme/Default%20Project/shop@apply',
    members: { terraform_workspace_id: wid, terraform_run_phase: 'apply' },
    disclosed: { terraform_workspace_name: 'shop' },
    foreign: [{ terraform_organization_id: 'org-1111111111111111' }],
    wrong: [
      ...mistyped('terraform_organization_id', 'terraform_organization_name', 'terraform_project_id'),
      ['another phase in sub', { sub: 'organization:acme:project:Default Project:workspace:shop:run_phase:plan' }],
      [
        'another workspace in sub',
        { sub: 'organization:acme:project:Default Project:workspace:other:run_phase:apply' },
      ],
      ['no phase', { terraform_run_phase: undefined }],
      ['no workspace', { terraform_workspace_id: undefined }],
    ],
  },
  {
    preset: 'fly',
    entry: { organization: { id: '29873298', slug: 'acme' } },
    claims: flyClaims,
    alg: 'RS256',
    lifetime: 3600,
    path: 'acme/shop/ancient-snow-4824',
    members: { org_id: '29873298', app_id: '3671581', machine_id: '3d8d377ce9e398', region: 'yyz' },
    disclosed: { app_name: 'shop', machine_name: 'ancient-snow-4824' },
    foreign: [{ org_id: '1' }],
    wrong: [
      ...mistyped('org_id', 'org_name', 'app_id', 'app_name', 'machine_id', 'machine_name'),
      ['another app in sub', { sub: 'acme:other:ancient-snow-4824' }],
      ['another organization in sub', { sub: 'evil:shop:ancient-snow-4824' }],
      ['a sub with more', { sub: 'acme:shop:ancient-snow-4824:x' }],
    ],
  },
];

/** Entra's tokens of version 1.0, where the resource's registration asks for them. */
export const entraV1: Platform = {
  ...(platforms.find(({ preset }) => preset === 'azure') as Platform),
  claims: entraV1Claims,
  disclosed: { appid: uuid(13) },
  foreign: [{ tid: uuid(11) }],
  wrong: [
    ...mistyped('tid', 'oid', 'appid'),
    ['the other version', { ver: '2.0' }],
    ['scopes, which act for a person', { scp: 'access_as_user' }],
  ],
};

/** Its entry, with these keys and nothing fetched. */
export function entryOf(
  { preset, entry }: Pick<Platform, 'preset' | 'entry'>,
  ...keys: TestKey[]
): Record<string, unknown> {
  const use = preset === 'spiffe' ? { use: 'jwt-svid' } : {};
  return { preset, ...entry, jwks: { keys: keys.map(({ jwk }) => ({ ...jwk, ...use })) } };
}
