import type { Fault } from '../../lib/fault.ts';
import type { Member } from '../../lib/issuer-shape.ts';
import * as s from '../../lib/schema/index.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { type CommonConfig, commonFaults, commonMembers, commonProfile, uuidSchema } from '../issuer-config.ts';
import { pickClaims, readMembers } from '../members.ts';
import { type Caller, encodeComponent, type Preset } from '../preset.ts';
import type { TokenReason } from '../refuse.ts';

interface AzureConfig extends CommonConfig {
  /** The directory (tenant) id. */
  readonly tenant: string;
}

/** Microsoft Entra docs, "Access token claims reference"; `appid` is `azp` in tokens of version 2.0. */
const members = {
  tid: { type: 'string', immutable: true },
  oid: { type: 'string', immutable: true },
  appid: { type: 'string', immutable: true },
  idtyp: { type: 'string' },
  xms_mirid: { type: 'string', prefer: 'oid' },
} as const satisfies Record<string, Member>;

/** Everybody's personal account is in this tenant. */
const consumers = '9188040d-6c67-4c5b-b112-36a304b66dad';

interface Version {
  readonly ver: '1.0' | '2.0';
  readonly application: 'appid' | 'azp';
  issuer(tenant: string): string;
  keys(tenant: string): string;
}

// The resource's registration decides which version its tokens have; each has keys of its own.
const versions: readonly Version[] = [
  {
    ver: '1.0',
    application: 'appid',
    issuer: (tenant) => `https://sts.windows.net/${tenant}/`,
    keys: (tenant) => `https://login.microsoftonline.com/${tenant}/discovery/keys`,
  },
  {
    ver: '2.0',
    application: 'azp',
    issuer: (tenant) => `https://login.microsoftonline.com/${tenant}/v2.0`,
    keys: (tenant) => `https://login.microsoftonline.com/${tenant}/discovery/v2.0/keys`,
  },
];

/** Managed identities and applications of one Entra tenant, by access tokens for an application that stands for the broker. */
export const azure: Preset = {
  name: 'azure',
  about: 'Managed identities and applications of one Microsoft Entra tenant, in tokens of version 1.0 and 2.0',
  schema: s.later(() =>
    s.strictObject({
      preset: s.literal('azure'),
      tenant: uuidSchema('a tenant'),
      ...commonMembers,
    }),
  ),
  shape: { preset: 'azure', members, generic: false },
  check: (config) => [...commonFaults(config as AzureConfig), ...tenantFaultsOf(config as AzureConfig)],
  compile: (config, name) => {
    const entry = config as AzureConfig;
    return versions.map((version) => ({
      ...commonProfile({ ...entry, issuer: version.issuer(entry.tenant) }, name, {
        lifetime: 25 * 3600,
        algorithms: ['RS256'],
        jwksUri: version.keys(entry.tenant),
      }),
      identify: (claims) => identify(claims, entry.tenant, version),
    }));
  },
};

const tenantFaultsOf = ({ tenant }: AzureConfig): Fault[] =>
  tenant === consumers ? [{ path: ['tenant'], message: 'this is the tenant of every personal account' }] : [];

function identify(claims: JsonObject, tenant: string, { ver, application }: Version): Caller | TokenReason {
  const { [application]: appid, scp, sub } = claims;
  const flat = {
    ...pickClaims(claims, ['tid', 'oid', 'idtyp', 'xms_mirid']),
    ...(appid === undefined ? {} : { appid }),
  };
  const values = readMembers<string>(flat, members, ['tid', 'oid', 'appid']);
  if (values === undefined || claims.ver !== ver) return 'claims';
  if (values.tid !== tenant) return 'tenant';
  // A token that acts for a person has scopes, or a nonce; one of an application alone has itself for its subject.
  const alone = values.idtyp === undefined ? sub === values.oid : values.idtyp === 'app';
  if (!alone || scp !== undefined || Object.hasOwn(claims, 'nonce')) return 'claims';
  const resource = values.xms_mirid?.split('/').at(-1);
  return {
    path: [values.appid, resource]
      .filter((part) => part !== undefined)
      .map(encodeComponent)
      .join('/'),
    members: values,
    disclosed: pickClaims(claims, ['tid', 'oid', 'idtyp', 'xms_mirid', application]),
  };
}
