import type { Member } from '../../lib/issuer-shape.ts';
import * as s from '../../lib/schema/index.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { type CommonConfig, commonFaults, commonMembers, commonProfile, uuidSchema } from '../issuer-config.ts';
import { readMembers } from '../members.ts';
import { type Caller, encodeComponent, type Preset } from '../preset.ts';
import type { TokenReason } from '../refuse.ts';

interface BuildkiteConfig extends CommonConfig {
  /** `slug` is for the reader: only the id is compared, as slugs are given away again. */
  readonly organization: { readonly id: string; readonly slug?: string };
}

const issuer = 'https://agent.buildkite.com';

/**
 * Buildkite docs, "buildkite-agent oidc", claims. A job asks for the ids itself: `buildkite-agent oidc request-token
 * --claim organization_id --claim pipeline_id`.
 */
const members = {
  organization_slug: { type: 'string', prefer: 'organization_id' },
  organization_id: { type: 'string', immutable: true },
  pipeline_slug: { type: 'string', prefer: 'pipeline_id' },
  pipeline_id: { type: 'string', immutable: true },
  cluster_name: { type: 'string', prefer: 'cluster_id' },
  cluster_id: { type: 'string', immutable: true },
  queue_key: { type: 'string', prefer: 'queue_id' },
  queue_id: { type: 'string', immutable: true },
  build_id: { type: 'string', immutable: true },
  build_number: { type: 'number' },
  build_branch: { type: 'string' },
  build_tag: { type: 'string' },
  build_commit: { type: 'string' },
  build_source: { type: 'string' },
  step_key: { type: 'string' },
  job_id: { type: 'string', immutable: true },
  agent_id: { type: 'string', immutable: true },
  runner_environment: { type: 'string' },
} as const satisfies Record<string, Member>;

const required = ['organization_slug', 'organization_id', 'pipeline_slug', 'build_branch', 'job_id'];

/** Jobs of Buildkite agents in one organization. */
export const buildkite: Preset = {
  name: 'buildkite',
  about: 'Jobs of Buildkite in one organization, bound by its immutable id, which the job must ask for',
  schema: s.later(() =>
    s.strictObject({
      preset: s.literal('buildkite'),
      organization: s.strictObject({
        id: uuidSchema('the organization id'),
        slug: s.optional(s.string().check(s.minLength(1))),
      }),
      ...commonMembers,
    }),
  ),
  shape: {
    preset: 'buildkite',
    members,
    generic: false,
    narrow: ['pipeline_id', 'pipeline_slug', 'cluster_id', 'cluster_name'],
  },
  check: (config) => commonFaults(config as BuildkiteConfig),
  compile: (config, name) => {
    const entry = config as BuildkiteConfig;
    const profile = commonProfile({ ...entry, issuer }, name, { lifetime: 3600, algorithms: ['RS256'] });
    return [
      { ...profile, tenantClaims: ['organization_id'], identify: (claims) => identify(claims, entry.organization.id) },
    ];
  },
};

function identify(claims: JsonObject, organization: string): Caller | TokenReason {
  const values = readMembers(claims, members, required);
  if (values === undefined) return 'claims';
  if (values.organization_id !== organization) return 'tenant';
  const sub = claims.sub as string;
  const start = `organization:${values.organization_slug}:pipeline:${values.pipeline_slug}:ref:`;
  // A job may ask for one of the ids as its subject instead.
  if (sub.startsWith('organization:') && !sub.startsWith(start)) return 'claims';
  const [owner, pipeline, branch] = [values.organization_slug, values.pipeline_slug, values.build_branch].map((part) =>
    encodeComponent(String(part)),
  );
  return { path: `${owner}/${pipeline}@${branch}`, members: values, disclosed: values };
}
