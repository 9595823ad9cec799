import type { Member } from '../../lib/issuer-shape.ts';
import * as s from '../../lib/schema/index.ts';
import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { commonFaults, commonMembers, commonProfile, type IssuerConfig } from '../issuer-config.ts';
import { isText, pickClaims } from '../members.ts';
import { type Caller, encodeComponent, type Preset } from '../preset.ts';
import type { TokenReason } from '../refuse.ts';
import { tenantFaults } from '../shared-issuers.ts';

const members = {
  namespace: { type: 'string' },
  serviceAccount: { type: 'string', prefer: 'serviceAccountUid' },
  serviceAccountUid: { type: 'string', immutable: true },
  pod: { type: 'string', prefer: 'podUid' },
  podUid: { type: 'string', immutable: true },
  node: { type: 'string' },
} as const satisfies Record<string, Member>;

/** Pods of one cluster, by bound service account tokens (projected volumes, TokenRequest). */
export const kubernetes: Preset = {
  name: 'kubernetes',
  about:
    'Bound service account tokens of one Kubernetes cluster; its keys by discovery, from jwksUri, or in the config',
  schema: s.later(() => s.strictObject({ preset: s.literal('kubernetes'), issuer: s.string(), ...commonMembers })),
  shape: { preset: 'kubernetes', members, generic: false },
  check: (config) => [...commonFaults(config as IssuerConfig), ...tenantFaults((config as IssuerConfig).issuer, [])],
  compile: (config, name) => [{ ...commonProfile(config as IssuerConfig, name, { lifetime: 24 * 3600 }), identify }],
};

/** Legacy tokens, which never expire, carry flat claims instead of `kubernetes.io` and are refused for its absence. */
function identify(claims: JsonObject): Caller | TokenReason {
  const bound = claims['kubernetes.io'];
  if (!isJsonObject(bound)) return 'claims';
  const { namespace } = bound;
  const account = namedObject(bound.serviceaccount);
  if (!isText(namespace) || account === undefined || !isText(account.uid)) return 'claims';
  if (claims.sub !== `system:serviceaccount:${namespace}:${account.name}`) return 'claims';
  const pod = optionalObject(bound, 'pod');
  const node = optionalObject(bound, 'node');
  if (pod === 'bad' || node === 'bad' || (pod !== undefined && !isText(pod.uid))) return 'claims';
  return {
    path: `${encodeComponent(namespace)}/${encodeComponent(account.name)}`,
    members: {
      namespace,
      serviceAccount: account.name,
      serviceAccountUid: account.uid,
      ...(pod === undefined ? {} : { pod: pod.name, podUid: pod.uid as string }),
      ...(node === undefined ? {} : { node: node.name }),
    },
    disclosed: { 'kubernetes.io': pickClaims(bound, ['namespace', 'serviceaccount', 'pod', 'node']) },
  };
}

type NamedObject = { name: string; uid?: Json };

const namedObject = (value: Json | undefined): NamedObject | undefined =>
  isJsonObject(value) && isText(value.name) ? (value as NamedObject) : undefined;

const optionalObject = (bound: JsonObject, member: string): NamedObject | undefined | 'bad' =>
  Object.hasOwn(bound, member) ? (namedObject(bound[member]) ?? 'bad') : undefined;
