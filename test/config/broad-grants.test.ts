import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { presets } from '../../src/identity/index.ts';

const uuid = '11111111-2222-4333-8444-555555555555';

async function warnings(issuer: object, identity: object): Promise<string[]> {
  const config = {
    broker: { url: 'https://pass.example.com', signer: { kind: 'local', path: './keys' } },
    ledger: { kind: 'sqlite', path: './ledger.db' },
    issuers: { ci: issuer },
    stores: { here: { kind: 'env' } },
    credentials: { stripe: { kind: 'secret', store: 'here', name: 'STRIPE' } },
    grants: [{ name: 'deploys', identity: { issuer: 'ci', ...identity }, may: ['stripe'], ttl: '10m' }],
  };
  const options = { file: 'c', runtime: 'node', env: {}, folder: '/srv/hallpass' } as const;
  const loaded = await loadConfig(JSON.stringify(config), options);
  return loaded.warnings.map(({ message, hint }) => `${message} (${hint})`);
}

const github = { preset: 'github-actions', organization: { id: '9919' } };
const gitlab = { preset: 'gitlab', namespace: { id: '42' } };
const kubernetes = { preset: 'kubernetes', issuer: 'https://k8s.example.com' };

test.each([
  [github, { ref: 'refs/heads/main' }, 'repository_id'],
  [github, { environment: 'production', repository_owner_id: '9919' }, 'repository_id'],
  [gitlab, { ref: 'main', ref_protected: 'true' }, 'project_id'],
  [{ preset: 'circleci', organization: { id: uuid } }, { 'vcs-ref': 'refs/heads/main' }, 'project-id'],
  [{ preset: 'buildkite', organization: { id: uuid } }, { build_branch: 'main' }, 'pipeline_id'],
  [{ preset: 'vercel', team: { id: 'team_acme' } }, { environment: 'production' }, 'project_id'],
  [
    { preset: 'terraform-cloud', organization: { id: 'org-acme' } },
    { terraform_run_phase: 'apply' },
    'terraform_workspace_id',
  ],
])('%o: a grant to %o alone is warned of, with the member %s that is missing', async (issuer, identity, best) => {
  expect(await warnings(issuer, identity)).toEqual([
    `says nothing of whose code it is: all of the organization can have what fits (name ${best} as well)`,
  ]);
  expect(await warnings(issuer, { ...identity, [best]: '42' })).toEqual([]);
});

test.each([
  [github, { job_workflow_ref: 'acme/ci/.github/workflows/deploy.yml@refs/heads/main' }],
  [github, { repository: 'acme/*', repository_owner_id: '9919' }],
  [{ ...gitlab, project: { id: '7' } }, { ref: 'main' }],
  [kubernetes, { namespace: 'shop', serviceAccountUid: 'u-1' }],
])('%o: a grant to %o is not warned of', async (issuer, identity) => {
  expect(await warnings(issuer, identity)).toEqual([]);
});

test('what says whose code it is are members that the preset knows', () => {
  const unknown = presets.flatMap(
    ({ shape }) => shape.narrow?.filter((name) => !Object.hasOwn(shape.members, name)) ?? [],
  );
  expect(unknown).toEqual([]);
});
