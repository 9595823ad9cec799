import type { Member } from '../../lib/issuer-shape.ts';
import * as s from '../../lib/schema/index.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { commonFaults, commonMembers, commonProfile, type IssuerConfig, uuidSchema } from '../issuer-config.ts';
import { pickClaims, readMembers } from '../members.ts';
import { type Caller, encodeComponent, encodeRef, type Preset } from '../preset.ts';
import type { TokenReason } from '../refuse.ts';

interface CircleConfig extends Omit<IssuerConfig, 'issuer'> {
  /** The organization's own at oidc.circleci.com, unless the server is one's own. */
  readonly issuer?: string;
  readonly organization: { readonly id: string; readonly name?: string };
}

const prefix = 'oidc.circleci.com/';

/** CircleCI docs, "Using OpenID Connect tokens in jobs": claims under `oidc.circleci.com/`, here without it. */
const members = {
  'org-id': { type: 'string', immutable: true },
  'project-id': { type: 'string', immutable: true },
  'pipeline-definition-id': { type: 'string', immutable: true },
  'pipeline-id': { type: 'string', immutable: true },
  'workflow-id': { type: 'string', immutable: true },
  'job-id': { type: 'string', immutable: true },
  'vcs-origin': { type: 'string', prefer: 'project-id' },
  'vcs-ref': { type: 'string' },
  'ssh-rerun': { type: 'boolean' },
} as const satisfies Record<string, Member>;

const names = Object.keys(members);

/** Jobs of one organization on CircleCI, which has an issuer of its own. */
export const circleci: Preset = {
  name: 'circleci',
  about: 'Jobs of CircleCI in one organization, bound by its immutable id',
  schema: s.later(() =>
    s.strictObject({
      preset: s.literal('circleci'),
      issuer: s.optional(s.string()),
      organization: s.strictObject({
        id: uuidSchema('the organization id'),
        name: s.optional(s.string().check(s.minLength(1))),
      }),
      ...commonMembers,
    }),
  ),
  shape: {
    preset: 'circleci',
    members,
    generic: false,
    narrow: ['project-id', 'vcs-origin', 'pipeline-definition-id'],
    // Somebody has a shell in a job that is run again with SSH.
    requireNamed: { 'ssh-rerun': [true] },
  },
  check: (config) => commonFaults(withIssuer(config as CircleConfig)),
  compile: (config, name) => {
    const entry = withIssuer(config as CircleConfig);
    const profile = commonProfile(entry, name, { lifetime: 3600, algorithms: ['RS256'] });
    return [{ ...profile, identify: (claims) => identify(claims, entry.organization.id) }];
  },
};

const withIssuer = (config: CircleConfig) => ({
  ...config,
  issuer: config.issuer ?? `https://${prefix}org/${config.organization.id}`,
});

function identify(claims: JsonObject, organization: string): Caller | TokenReason {
  const own = Object.fromEntries(names.map((name) => [name, claims[prefix + name] ?? null]));
  const values = readMembers(own, members, ['project-id']);
  if (values === undefined) return 'claims';
  // Older tokens name the organization in `sub` and `iss` only.
  if ((values['org-id'] ?? organization) !== organization) return 'tenant';
  const sub = claims.sub as string;
  if (!sub.startsWith(`org/${organization}/`)) return 'tenant';
  if (!sub.startsWith(`org/${organization}/project/${values['project-id']}/user/`)) return 'claims';
  const { 'vcs-origin': origin, 'vcs-ref': ref } = values;
  // Empty where a project has no repository.
  const project = String(origin || values['project-id'])
    .split('/')
    .map(encodeComponent)
    .join('/');
  return {
    path: ref ? `${project}@${encodeRef(String(ref))}` : project,
    members: values,
    disclosed: pickClaims(
      claims,
      [...names, 'context-ids'].map((name) => prefix + name),
    ),
  };
}
