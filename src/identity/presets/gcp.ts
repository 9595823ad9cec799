import type { Fault } from '../../lib/fault.ts';
import type { Member } from '../../lib/issuer-shape.ts';
import * as s from '../../lib/schema/index.ts';
import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';
import { type CommonConfig, commonFaults, commonMembers, commonProfile } from '../issuer-config.ts';
import { pickClaims, readMembers } from '../members.ts';
import { type Caller, encodeComponent, type Preset } from '../preset.ts';
import type { TokenReason } from '../refuse.ts';

interface GcpConfig extends CommonConfig {
  /** Unique ids of service accounts; their emails are given away again. */
  readonly accounts?: readonly string[];
  /** The project whose VMs are meant: only tokens of format `full` name it. */
  readonly project?: { readonly number: number; readonly id?: string };
}

const issuer = 'https://accounts.google.com';
const jwksUri = 'https://www.googleapis.com/oauth2/v3/certs';

const instanceMembers = {
  project_id: { type: 'string', prefer: 'project_number' },
  project_number: { type: 'number', immutable: true },
  zone: { type: 'string' },
  instance_name: { type: 'string', prefer: 'instance_id' },
  instance_id: { type: 'string', immutable: true },
} as const satisfies Record<string, Member>;

/** Google Cloud docs, "Get an ID token" and, for what is under `google.compute_engine`, "Verify VM identity". */
const members = {
  sub: { type: 'string', immutable: true },
  azp: { type: 'string' },
  email: { type: 'string', prefer: 'sub' },
  ...instanceMembers,
} as const satisfies Record<string, Member>;

const accountId = s.later(() =>
  s.string().check(s.regex(/^[0-9]{6,30}$/, 'a service account is its unique id, digits in quotes')),
);

/** Service accounts of Google Cloud, by ID tokens of the metadata server or of `generateIdToken`. */
export const gcp: Preset = {
  name: 'gcp',
  about: 'Service accounts of Google Cloud, bound by their unique ids or by the number of a project’s VMs',
  schema: s.later(() =>
    s.strictObject({
      preset: s.literal('gcp'),
      accounts: s.optional(s.array(accountId).check(s.minLength(1), s.maxLength(1000))),
      project: s.optional(
        s.strictObject({
          number: s.int().check(s.positive()),
          id: s.optional(s.string().check(s.minLength(1))),
        }),
      ),
      ...commonMembers,
    }),
  ),
  shape: { preset: 'gcp', members, generic: false },
  check: (config) => [...commonFaults(config as GcpConfig), ...boundFaults(config as GcpConfig)],
  compile: (config, name) => {
    const entry = config as GcpConfig;
    const accounts = entry.accounts && new Set(entry.accounts);
    const profile = commonProfile({ ...entry, issuer }, name, { lifetime: 3600, algorithms: ['RS256'], jwksUri });
    return [
      { ...profile, tenantClaims: ['sub'], identify: (claims) => identify(claims, accounts, entry.project?.number) },
    ];
  },
};

function boundFaults({ accounts, project }: GcpConfig): Fault[] {
  if (accounts !== undefined || project !== undefined) return [];
  const message = 'Google signs for everybody, and nothing here binds it to yours';
  return [{ path: [], message, hint: 'add accounts: ["unique id"] or project: { number: ... }' }];
}

function identify(
  claims: JsonObject,
  accounts: ReadonlySet<string> | undefined,
  project: number | undefined,
): Caller | TokenReason {
  const { google = {}, email } = claims;
  const instance = isJsonObject(google) ? (google.compute_engine ?? {}) : undefined;
  if (!isJsonObject(instance)) return 'claims';
  const flat = {
    ...pickClaims(claims, ['sub', 'azp', 'email']),
    ...pickClaims(instance, Object.keys(instanceMembers)),
  };
  const values = readMembers(flat, members, ['sub', 'azp']);
  // These are in the ID tokens of people who signed in.
  if (Object.hasOwn(claims, 'nonce') || Object.hasOwn(claims, 'at_hash')) return 'claims';
  // An account's id is digits; an email is believed only where Google has verified it.
  if (values === undefined || !/^[0-9]+$/.test(String(values.sub))) return 'claims';
  if (email !== undefined && claims.email_verified !== true) return 'claims';
  if (accounts !== undefined && !accounts.has(String(values.sub))) return 'tenant';
  if (project !== undefined && values.project_number !== project) return 'tenant';
  return {
    path: pathOf(String(values.email ?? values.sub)),
    members: values,
    disclosed: {
      ...pickClaims(claims, ['azp', 'email']),
      ...(claims.google === undefined
        ? {}
        : { google: { compute_engine: pickClaims(instance, Object.keys(instanceMembers)) } }),
    },
  };
}

/** `acme-core/checkout` of a service account's email; whatever else there is as one component. */
function pathOf(account: string): string {
  const [, name, project] = /^([^@]+)@([a-z0-9.:-]+)\.iam\.gserviceaccount\.com$/.exec(account) ?? [];
  if (name === undefined || project === undefined) return encodeComponent(account);
  return `${encodeComponent(project)}/${encodeComponent(name)}`;
}
