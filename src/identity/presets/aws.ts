import type { Member } from '../../lib/issuer-shape.ts';
import * as s from '../../lib/schema/index.ts';
import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';
import { commonFaults, commonMembers, commonProfile, type IssuerConfig } from '../issuer-config.ts';
import { pickClaims, readMembers } from '../members.ts';
import { type Caller, encodeComponent, type Preset } from '../preset.ts';
import type { TokenReason } from '../refuse.ts';
import { tenantFaults } from '../shared-issuers.ts';

interface AwsConfig extends IssuerConfig {
  readonly account: string;
  readonly organization?: string;
}

const namespace = 'https://sts.amazonaws.com/';

/** AWS IAM User Guide, "Understanding token claims" (outbound identity federation); `arn` is the token's subject. */
const members = {
  arn: { type: 'string' },
  aws_account: { type: 'string', immutable: true },
  org_id: { type: 'string', immutable: true },
  source_region: { type: 'string' },
  lambda_source_function_arn: { type: 'string' },
  ec2_source_instance_arn: { type: 'string' },
  ec2_instance_source_vpc: { type: 'string' },
  ec2_role_delivery: { type: 'string' },
} as const satisfies Record<string, Member>;

const { arn: _, ...nested } = members;
const kinds: ReadonlySet<string> = new Set(['root', 'role', 'user']);
const disclosed = [...Object.keys(nested), 'ou_path', 'principal_tags', 'request_tags'];

/** Tokens that AWS STS gives the roles of one account (`GetWebIdentityToken`), which has an issuer of its own. */
export const aws: Preset = {
  name: 'aws',
  about: 'Roles of one AWS account, by the tokens of its outbound identity federation; `issuer` is the account’s own',
  schema: s.later(() =>
    s.strictObject({
      preset: s.literal('aws'),
      issuer: s.string(),
      account: s.string().check(s.regex(/^[0-9]{12}$/, 'an account is its 12 digits, in quotes')),
      organization: s.optional(s.string().check(s.regex(/^o-[a-z0-9]{10,32}$/, 'an organization is its id, o-...'))),
      ...commonMembers,
    }),
  ),
  shape: { preset: 'aws', members, generic: false },
  check: (config) => [...commonFaults(config as AwsConfig), ...tenantFaults((config as AwsConfig).issuer, [])],
  compile: (config, name) => {
    const entry = config as AwsConfig;
    const profile = commonProfile(entry, name, { lifetime: 3600, algorithms: ['ES384', 'RS256'] });
    return [{ ...profile, identify: (claims) => identify(claims, entry) }];
  },
};

function identify(claims: JsonObject, { account, organization }: AwsConfig): Caller | TokenReason {
  const own = claims[namespace];
  if (!isJsonObject(own)) return 'claims';
  const values = readMembers(own, nested, ['aws_account']);
  if (values === undefined) return 'claims';
  if (values.aws_account !== account) return 'tenant';
  if (organization !== undefined && values.org_id !== organization) return 'tenant';
  const arn = claims.sub as string;
  const [, owner, resource] =
    /^arn:aws[a-z-]{0,20}:iam::([0-9]{12}):(root|(?:role|user)\/[\w+=,.@/-]+)$/.exec(arn) ?? [];
  if (owner !== account || resource === undefined) return 'claims';
  const [kind, ...parts] = resource.split('/');
  // A role is named without its kind, unless its path or name is a word that then would be taken for one.
  const named = kind === 'role' && !kinds.has(parts[0] ?? '') ? parts : [kind ?? '', ...parts];
  return {
    path: [account, ...named].map(encodeComponent).join('/'),
    members: { arn, ...values },
    disclosed: { [namespace]: pickClaims(own, disclosed) },
  };
}
