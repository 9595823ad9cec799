import type { Member } from '../../lib/issuer-shape.ts';
import * as s from '../../lib/schema/index.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { commonFaults, commonMembers, commonProfile, type IssuerConfig } from '../issuer-config.ts';
import { readMembers } from '../members.ts';
import { type Caller, encodeComponent, type Preset } from '../preset.ts';
import type { TokenReason } from '../refuse.ts';

interface TerraformConfig extends Omit<IssuerConfig, 'issuer'> {
  /** That of HCP Terraform, unless it is a Terraform Enterprise. */
  readonly issuer?: string;
  /** `name` is for the reader: only the id is compared, as names are given away again. */
  readonly organization: { readonly id: string; readonly name?: string };
}

/** HashiCorp docs, "Workload identity" (tokens): of a workspace's run, or of a stack's deployment. */
const members = {
  terraform_organization_name: { type: 'string', prefer: 'terraform_organization_id' },
  terraform_organization_id: { type: 'string', immutable: true },
  terraform_project_name: { type: 'string', prefer: 'terraform_project_id' },
  terraform_project_id: { type: 'string', immutable: true },
  terraform_workspace_name: { type: 'string', prefer: 'terraform_workspace_id' },
  terraform_workspace_id: { type: 'string', immutable: true },
  terraform_full_workspace: { type: 'string', prefer: 'terraform_workspace_id' },
  terraform_run_id: { type: 'string', immutable: true },
  terraform_run_phase: { type: 'string' },
  terraform_stack_name: { type: 'string', prefer: 'terraform_stack_id' },
  terraform_stack_id: { type: 'string', immutable: true },
  terraform_stack_deployment_name: { type: 'string' },
  terraform_operation: { type: 'string' },
} as const satisfies Record<string, Member>;

const narrow = [
  'terraform_workspace_id',
  'terraform_workspace_name',
  'terraform_full_workspace',
  'terraform_project_id',
  'terraform_project_name',
  'terraform_stack_id',
  'terraform_stack_name',
];

const required = [
  'terraform_organization_name',
  'terraform_organization_id',
  'terraform_project_name',
  'terraform_project_id',
];

/** Runs of one organization of HCP Terraform or Terraform Enterprise. */
export const terraformCloud: Preset = {
  name: 'terraform-cloud',
  about: 'Plans and applies of HCP Terraform or Terraform Enterprise in one organization, bound by its immutable id',
  schema: s.later(() =>
    s.strictObject({
      preset: s.literal('terraform-cloud'),
      issuer: s.optional(s.string()),
      organization: s.strictObject({
        id: s.string().check(s.regex(/^org-[A-Za-z0-9]{1,64}$/, 'the organization id, org-...')),
        name: s.optional(s.string().check(s.minLength(1))),
      }),
      ...commonMembers,
    }),
  ),
  shape: { preset: 'terraform-cloud', members, generic: false, narrow },
  check: (config) => commonFaults(withIssuer(config as TerraformConfig)),
  compile: (config, name) => {
    const entry = withIssuer(config as TerraformConfig);
    // A token lives as long as its plan or apply may take, a day at most.
    const profile = commonProfile(entry, name, { lifetime: 25 * 3600, algorithms: ['RS256'] });
    return [
      {
        ...profile,
        tenantClaims: ['terraform_organization_id'],
        identify: (claims) => identify(claims, entry.organization.id),
      },
    ];
  },
};

const withIssuer = (config: TerraformConfig) => ({ ...config, issuer: config.issuer ?? 'https://app.terraform.io' });

function identify(claims: JsonObject, organization: string): Caller | TokenReason {
  const values = readMembers<string>(claims, members, required);
  if (values === undefined) return 'claims';
  if (values.terraform_organization_id !== organization) return 'tenant';
  const project = [values.terraform_organization_name, values.terraform_project_name];
  const run = values.terraform_stack_id === undefined ? workspaceRun(values) : stackRun(values);
  if (run === undefined || claims.sub !== `organization:${project.join(':project:')}:${run.subject}`) return 'claims';
  const [last, ...path] = [run.phase, ...project, ...run.path].map((part) => encodeComponent(String(part)));
  return { path: `${path.join('/')}@${last}`, members: values, disclosed: values };
}

interface Run {
  readonly subject: string;
  readonly path: readonly string[];
  readonly phase: string;
}

function workspaceRun(values: Readonly<Record<string, string>>): Run | undefined {
  const { terraform_workspace_id: id, terraform_workspace_name: name, terraform_run_phase: phase } = values;
  if (id === undefined || name === undefined || phase === undefined) return undefined;
  return { subject: `workspace:${name}:run_phase:${phase}`, path: [name], phase };
}

function stackRun(values: Readonly<Record<string, string>>): Run | undefined {
  const {
    terraform_stack_name: name,
    terraform_stack_deployment_name: deployment,
    terraform_operation: phase,
  } = values;
  if (name === undefined || deployment === undefined || phase === undefined) return undefined;
  return { subject: `stack:${name}:deployment:${deployment}:operation:${phase}`, path: [name, deployment], phase };
}
