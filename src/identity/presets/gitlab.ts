import type { Member } from '../../lib/issuer-shape.ts';
import * as s from '../../lib/schema/index.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { commonFaults, commonMembers, commonProfile, type IssuerConfig } from '../issuer-config.ts';
import { readMembers } from '../members.ts';
import { type Caller, encodeComponent, encodeRef, type Preset } from '../preset.ts';
import type { TokenReason } from '../refuse.ts';
import { tenantFaults } from '../shared-issuers.ts';

interface GitLabConfig extends Omit<IssuerConfig, 'issuer'> {
  /** That of gitlab.com, unless the instance is one's own. */
  readonly issuer?: string;
  /** The group or user directly above the projects; a subgroup has an id of its own. */
  readonly namespace?: { readonly id: string; readonly name?: string };
  readonly project?: { readonly id: string; readonly name?: string };
}

const gitlabCom = 'https://gitlab.com';

/** GitLab docs, "OpenID Connect (OIDC) Authentication Using ID Tokens", token payload: all strings but `runner_id`. */
const members = {
  namespace_path: { type: 'string', prefer: 'namespace_id' },
  namespace_id: { type: 'string', immutable: true },
  project_path: { type: 'string', prefer: 'project_id' },
  project_id: { type: 'string', immutable: true },
  project_visibility: { type: 'string' },
  job_project_path: { type: 'string', prefer: 'job_project_id' },
  job_project_id: { type: 'string', immutable: true },
  job_namespace_path: { type: 'string', prefer: 'job_namespace_id' },
  job_namespace_id: { type: 'string', immutable: true },
  ref: { type: 'string' },
  ref_type: { type: 'string' },
  ref_path: { type: 'string' },
  ref_protected: { type: 'string' },
  environment: { type: 'string' },
  environment_protected: { type: 'string' },
  environment_action: { type: 'string' },
  deployment_tier: { type: 'string' },
  pipeline_source: { type: 'string' },
  pipeline_id: { type: 'string', immutable: true },
  job_id: { type: 'string', immutable: true },
  job_source: { type: 'string' },
  sha: { type: 'string' },
  ci_config_ref_uri: { type: 'string' },
  ci_config_sha: { type: 'string' },
  user_login: { type: 'string', prefer: 'user_id' },
  user_email: { type: 'string', prefer: 'user_id' },
  user_id: { type: 'string', immutable: true },
  user_access_level: { type: 'string' },
  runner_id: { type: 'number', immutable: true },
  runner_environment: { type: 'string' },
} as const satisfies Record<string, Member>;

const required = ['namespace_path', 'namespace_id', 'project_path', 'project_id', 'ref', 'ref_type', 'pipeline_source'];

const numbered = (what: string) =>
  s.optional(
    s.strictObject({
      id: s.string().check(s.regex(/^[1-9][0-9]{0,18}$/, `the ${what} id is its number, in quotes`)),
      name: s.optional(s.string().check(s.minLength(1))),
    }),
  );

/** Jobs of GitLab CI/CD, of one group or project of gitlab.com, or of an instance of one's own. */
export const gitlab: Preset = {
  name: 'gitlab',
  about: 'Jobs of GitLab CI/CD, on gitlab.com in one namespace or project, bound by its immutable id',
  schema: s.later(() =>
    s.strictObject({
      preset: s.literal('gitlab'),
      issuer: s.optional(s.string()),
      namespace: numbered('namespace'),
      project: numbered('project'),
      ...commonMembers,
    }),
  ),
  shape: {
    preset: 'gitlab',
    members,
    generic: false,
    narrow: [
      'project_id',
      'project_path',
      'job_project_id',
      'job_project_path',
      'ci_config_ref_uri',
      'namespace_id',
      'namespace_path',
    ],
    // `ref` is then the source branch, which anybody may call main.
    requireNamed: { pipeline_source: ['merge_request_event', 'external_pull_request_event'] },
  },
  check: (config) => {
    const entry = withIssuer(config as GitLabConfig);
    const bound = [...(entry.namespace ? ['namespace_id'] : []), ...(entry.project ? ['project_id'] : [])];
    return [
      ...commonFaults(entry),
      ...tenantFaults(entry.issuer, bound, 'add namespace: { id: "your id" } or project: { id: "your id" }'),
    ];
  },
  compile: (config, name) => {
    const entry = withIssuer(config as GitLabConfig);
    const profile = commonProfile(entry, name, { lifetime: 3600, algorithms: ['RS256'] });
    const tenantClaims = [...(entry.namespace ? ['namespace_id'] : []), ...(entry.project ? ['project_id'] : [])];
    return [{ ...profile, tenantClaims, identify: (claims) => identify(claims, entry) }];
  },
};

const withIssuer = (config: GitLabConfig) => ({ ...config, issuer: config.issuer ?? gitlabCom });

function identify(claims: JsonObject, { namespace, project }: GitLabConfig): Caller | TokenReason {
  const values = readMembers(claims, members, required);
  if (values === undefined) return 'claims';
  if (namespace !== undefined && values.namespace_id !== namespace.id) return 'tenant';
  if (project !== undefined && values.project_id !== project.id) return 'tenant';
  const path = String(values.project_path);
  if (!path.startsWith(`${values.namespace_path}/`)) return 'claims';
  if (!subjectAgrees(claims.sub as string, path, `ref_type:${values.ref_type}:ref:${values.ref}`)) return 'claims';
  const ref = values.ref_type === 'branch' ? `heads/${values.ref}` : `${values.ref_type}s/${values.ref}`;
  const projectPath = path.split('/').map(encodeComponent).join('/');
  return { path: `${projectPath}@${encodeRef(ref)}`, members: values, disclosed: values };
}

/**
 * Whether the subject says what the claims say: by default `project_path:P:ref_type:T:ref:R`; a project may have it made of
 * other components, which come after `project_path`.
 */
function subjectAgrees(sub: string, path: string, ref: string): boolean {
  const start = `project_path:${path}`;
  if (sub !== start && !sub.startsWith(`${start}:`)) return false;
  const rest = sub.slice(start.length + 1);
  return !rest.startsWith('ref_type:') || !rest.includes(':ref:') || rest === ref || rest.startsWith(`${ref}:`);
}
