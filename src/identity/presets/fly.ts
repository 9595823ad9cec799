import type { Member } from '../../lib/issuer-shape.ts';
import * as s from '../../lib/schema/index.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { type CommonConfig, commonFaults, commonMembers, commonProfile } from '../issuer-config.ts';
import { readMembers } from '../members.ts';
import { type Caller, encodeComponent, type Preset } from '../preset.ts';
import type { TokenReason } from '../refuse.ts';

interface FlyConfig extends CommonConfig {
  /** The slug makes the issuer's URL; it can be given away again, so the id is compared. */
  readonly organization: { readonly id: string; readonly slug: string };
}

/** Fly.io docs, "OpenID Connect", claims of a Machine's token: all strings. */
const members = {
  org_name: { type: 'string', prefer: 'org_id' },
  org_id: { type: 'string', immutable: true },
  app_name: { type: 'string', prefer: 'app_id' },
  app_id: { type: 'string', immutable: true },
  machine_name: { type: 'string', prefer: 'machine_id' },
  machine_id: { type: 'string', immutable: true },
  machine_version: { type: 'string' },
  image: { type: 'string', prefer: 'image_digest' },
  image_digest: { type: 'string', immutable: true },
  region: { type: 'string' },
} as const satisfies Record<string, Member>;

const required = ['org_name', 'org_id', 'app_name', 'app_id', 'machine_name', 'machine_id'];

/** Machines of one organization on Fly.io, which has an issuer of its own. */
export const fly: Preset = {
  name: 'fly',
  about: 'Machines of one Fly.io organization, bound by its immutable id',
  schema: s.later(() =>
    s.strictObject({
      preset: s.literal('fly'),
      organization: s.strictObject({
        id: s.string().check(s.regex(/^[A-Za-z0-9_-]{1,64}$/, 'the organization id, in quotes')),
        slug: s.string().check(s.regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'the slug, as in the URL of the dashboard')),
      }),
      ...commonMembers,
    }),
  ),
  shape: { preset: 'fly', members, generic: false },
  check: (config) => commonFaults(config as FlyConfig),
  compile: (config, name) => {
    const entry = config as FlyConfig;
    const { id, slug } = entry.organization;
    const issuer = `https://oidc.fly.io/${slug}`;
    const profile = commonProfile({ ...entry, issuer }, name, { lifetime: 3600, algorithms: ['RS256'] });
    return [{ ...profile, identify: (claims) => identify(claims, id) }];
  },
};

function identify(claims: JsonObject, organization: string): Caller | TokenReason {
  const values = readMembers<string>(claims, members, required);
  if (values === undefined) return 'claims';
  if (values.org_id !== organization) return 'tenant';
  const { org_name: owner = '', app_name: app = '', machine_name: machine = '' } = values;
  if (claims.sub !== `${owner}:${app}:${machine}`) return 'claims';
  return { path: [owner, app, machine].map(encodeComponent).join('/'), members: values, disclosed: values };
}
