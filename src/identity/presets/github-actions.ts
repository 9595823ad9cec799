import type { Member } from '../../lib/issuer-shape.ts';
import * as s from '../../lib/schema/index.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { commonFaults, commonMembers, commonProfile, type IssuerConfig } from '../issuer-config.ts';
import { readMembers } from '../members.ts';
import { type Caller, encodeComponent, encodeRef, type Preset } from '../preset.ts';
import type { TokenReason } from '../refuse.ts';

interface GitHubConfig extends Omit<IssuerConfig, 'issuer'> {
  /** That of github.com, unless it is a GitHub Enterprise Server or an enterprise's own. */
  readonly issuer?: string;
  /** `name` is for the reader: only the id is compared, as names are given away again. */
  readonly organization: { readonly id: string; readonly name?: string };
}

const githubCom = 'https://token.actions.githubusercontent.com';

/** Claims of a job's token that a grant may name; GitHub writes all of them as strings. */
const members = {
  repository: { type: 'string', prefer: 'repository_id' },
  repository_id: { type: 'string', immutable: true },
  repository_owner: { type: 'string', prefer: 'repository_owner_id' },
  repository_owner_id: { type: 'string', immutable: true },
  repository_visibility: { type: 'string' },
  ref: { type: 'string' },
  ref_type: { type: 'string' },
  ref_protected: { type: 'string' },
  base_ref: { type: 'string' },
  head_ref: { type: 'string' },
  sha: { type: 'string' },
  environment: { type: 'string' },
  event_name: { type: 'string' },
  workflow: { type: 'string' },
  workflow_ref: { type: 'string' },
  workflow_sha: { type: 'string' },
  job_workflow_ref: { type: 'string' },
  job_workflow_sha: { type: 'string' },
  runner_environment: { type: 'string' },
  actor: { type: 'string', prefer: 'actor_id' },
  actor_id: { type: 'string', immutable: true },
  enterprise: { type: 'string', prefer: 'enterprise_id' },
  enterprise_id: { type: 'string', immutable: true },
  run_id: { type: 'string' },
  run_attempt: { type: 'string' },
} as const satisfies Record<string, Member>;

const required = ['repository', 'repository_id', 'repository_owner', 'repository_owner_id', 'event_name'] as const;

/** Jobs of GitHub Actions, of one organization. */
export const githubActions: Preset = {
  name: 'github-actions',
  about: 'Jobs of GitHub Actions in one organization, bound by its immutable id',
  schema: s.later(() =>
    s.strictObject({
      preset: s.literal('github-actions'),
      organization: s.strictObject({
        id: s.string().check(s.regex(/^[1-9][0-9]{0,18}$/, 'the organization id is its number, in quotes')),
        name: s.optional(s.string().check(s.minLength(1))),
      }),
      issuer: s.optional(s.string()),
      ...commonMembers,
    }),
  ),
  shape: {
    preset: 'github-actions',
    members,
    generic: false,
    narrow: ['repository_id', 'repository', 'workflow_ref', 'job_workflow_ref'],
    requireNamed: {
      event_name: ['pull_request', 'pull_request_target', 'pull_request_review', 'pull_request_review_comment'],
    },
  },
  check: (config) => commonFaults(withIssuer(config as GitHubConfig)),
  compile: (config, name) => {
    const entry = withIssuer(config as GitHubConfig);
    return [
      {
        ...commonProfile(entry, name, { lifetime: 3600 }),
        tenantClaims: ['repository_owner_id'],
        identify: (claims) => identify(claims, entry.organization.id),
      },
    ];
  },
};

const withIssuer = (config: GitHubConfig) => ({ ...config, issuer: config.issuer ?? githubCom });

function identify(claims: JsonObject, organizationId: string): Caller | TokenReason {
  const values = readMembers<string>(claims, members, required);
  if (values === undefined) return 'claims';
  if (values.repository_owner_id !== organizationId) return 'tenant';
  if (!subjectAgrees(claims.sub as string, values)) return 'claims';
  return { path: pathOf(values), members: values, disclosed: values };
}

/**
 * Whether a default subject (`repo:...`) says what the claims say. Both formats of 2026 are known: names alone, and
 * names with ids (`org@1/repo@2`; first announced as `org-1/repo-2`). They are built from the claims and compared, not
 * taken apart: `acme-1` may be a name. A subject customized to begin otherwise is bound by its claims alone.
 */
function subjectAgrees(sub: string, values: Readonly<Record<string, string>>): boolean {
  const { repository = '', repository_owner: owner = '', repository_owner_id: ownerId, repository_id: id } = values;
  if (!repository.startsWith(`${owner}/`)) return false;
  if (!sub.startsWith('repo:')) return true;
  const name = repository.slice(owner.length + 1);
  const forms = [repository, `${owner}@${ownerId}/${name}@${id}`, `${owner}-${ownerId}/${name}-${id}`];
  const rest = sub.slice('repo:'.length);
  return forms.some((form) => rest === form || rest.startsWith(`${form}:`));
}

/** `acme/shop@main`; what is no branch keeps its kind: `acme/shop@tags%2Fv1`. */
function pathOf(values: Readonly<Record<string, string>>): string {
  const repository = (values.repository ?? '').split('/').map(encodeComponent).join('/');
  return values.ref ? `${repository}@${encodeRef(values.ref)}` : repository;
}
