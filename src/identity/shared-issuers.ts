import type { Fault } from '../lib/fault.ts';

/**
 * Issuers that sign for everybody: without one of these claims fixed, a token of any stranger is as good as ours.
 * Only ids that are never given away again are taken.
 */
const tenantClaims: ReadonlyMap<string, readonly string[]> = new Map([
  ['https://token.actions.githubusercontent.com', ['repository_owner_id', 'repository_id', 'enterprise_id']],
  ['https://gitlab.com', ['namespace_id', 'project_id']],
  ['https://app.terraform.io', ['terraform_organization_id', 'terraform_project_id', 'terraform_workspace_id']],
  ['https://app.eu.terraform.io', ['terraform_organization_id', 'terraform_project_id', 'terraform_workspace_id']],
  ['https://accounts.google.com', ['sub', 'azp', 'hd']],
  ['https://agent.buildkite.com', ['organization_id', 'pipeline_id']],
  ['https://oidc.circleci.com', ['oidc.circleci.com/org-id', 'oidc.circleci.com/project-id']],
  ['https://oidc.vercel.com', ['owner_id', 'project_id']],
  ['https://oidc.codefresh.io', ['account_id']],
  ['https://login.microsoftonline.com/common/v2.0', ['tid']],
  ['https://login.microsoftonline.com/organizations/v2.0', ['tid']],
  ['https://login.microsoftonline.com/consumers/v2.0', ['tid']],
  // The tenant of every personal Microsoft account.
  ['https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0', ['sub', 'oid']],
  ['https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad', ['sub', 'oid']],
]);

/** A fault when an issuer of many tenants is not bound to ours by one of its tenant claims; `hint` says what would do it. */
export function tenantFaults(issuer: string, bound: readonly string[], hint?: string): Fault[] {
  const claims = tenantClaims.get(issuer.replace(/\/$/, ''));
  if (claims === undefined || claims.some((claim) => bound.includes(claim))) return [];
  const message = 'this issuer signs for many tenants, and nothing here binds it to yours';
  return [{ path: ['issuer'], message, hint: hint ?? `add require: { ${claims[0]}: "your id" }` }];
}
