import type { Member } from '../../lib/issuer-shape.ts';
import * as s from '../../lib/schema/index.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { commonFaults, commonMembers, commonProfile, type IssuerConfig } from '../issuer-config.ts';
import { readMembers } from '../members.ts';
import { type Caller, encodeComponent, type Preset } from '../preset.ts';
import type { TokenReason } from '../refuse.ts';

interface VercelConfig extends Omit<IssuerConfig, 'issuer'> {
  /** The global one, unless the team has its own: `https://oidc.vercel.com/<slug>`. */
  readonly issuer?: string;
  /** `slug` is for the reader: only the id is compared, as slugs are given away again. */
  readonly team: { readonly id: string; readonly slug?: string };
}

/** Vercel docs, "OIDC Federation Reference", structure of a token. */
const members = {
  owner: { type: 'string', prefer: 'owner_id' },
  owner_id: { type: 'string', immutable: true },
  project: { type: 'string', prefer: 'project_id' },
  project_id: { type: 'string', immutable: true },
  environment: { type: 'string' },
  user_id: { type: 'string', immutable: true },
} as const satisfies Record<string, Member>;

const required = ['owner', 'owner_id', 'project', 'project_id', 'environment'];

/** Deployments and builds of one team on Vercel. */
export const vercel: Preset = {
  name: 'vercel',
  about: 'Deployments and builds of one Vercel team, bound by its immutable id',
  schema: s.later(() =>
    s.strictObject({
      preset: s.literal('vercel'),
      issuer: s.optional(s.string()),
      team: s.strictObject({
        id: s.string().check(s.regex(/^[A-Za-z0-9_-]{1,64}$/, 'the team id, such as team_...')),
        slug: s.optional(s.string().check(s.minLength(1))),
      }),
      ...commonMembers,
    }),
  ),
  shape: {
    preset: 'vercel',
    members,
    generic: false,
    narrow: ['project_id', 'project'],
    // Previews run what is not merged yet, and development tokens are pulled onto laptops.
    requireNamed: { environment: ['preview', 'development'] },
  },
  check: (config) => commonFaults(withIssuer(config as VercelConfig)),
  compile: (config, name) => {
    const entry = withIssuer(config as VercelConfig);
    const profile = commonProfile(entry, name, { lifetime: 3600, algorithms: ['RS256'] });
    return [{ ...profile, tenantClaims: ['owner_id'], identify: (claims) => identify(claims, entry.team.id) }];
  },
};

const withIssuer = (config: VercelConfig) => ({ ...config, issuer: config.issuer ?? 'https://oidc.vercel.com' });

function identify(claims: JsonObject, team: string): Caller | TokenReason {
  const values = readMembers<string>(claims, members, required);
  if (values === undefined) return 'claims';
  if (values.owner_id !== team) return 'tenant';
  const { owner = '', project = '', environment = '' } = values;
  if (claims.sub !== `owner:${owner}:project:${project}:environment:${environment}`) return 'claims';
  const path = `${encodeComponent(owner)}/${encodeComponent(project)}@${encodeComponent(environment)}`;
  return { path, members: values, disclosed: values };
}
