import type { Identity } from '../../src/lib/identity.ts';
import type { Lockdown } from '../../src/lib/lockdown.ts';

/**
 * The same decisions by straight loops over the config as written: no compiling, no index, nothing shared with src/.
 * What `decide`, `permits` and `explain` answer is compared with this.
 */
export interface RawGrant {
  name: string;
  identity: Record<string, unknown> & { issuer: string };
  when?: string;
  may: string[];
  ttl?: string;
  maxTtl?: string;
  once?: true;
  tokenLife?: true;
  claims?: string[];
  sealTo?: string;
}

export interface RawRole {
  credentials?: string[];
  audit?: string | string[];
  ledger?: 'append';
  leases?: 'revoke';
  lockdown?: 'write';
}

export interface RawConfig {
  issuers: Record<string, unknown>;
  credentials: Record<string, { kind: string; store?: string; admin?: { store: string; name: string } }>;
  roles: Record<string, string[] | RawRole>;
  grants: RawGrant[];
}

export interface World {
  config: RawConfig;
  generic: string[];
  requireNamed: Record<string, Record<string, string[]>>;
  /** What each `when` of the config means. */
  whens: Record<string, (identity: Identity) => boolean>;
}

export interface Answer {
  allow: boolean;
  reason?: string;
  grant?: string;
  role?: string;
  ttl?: number;
  maxTtl?: number;
  once?: boolean;
  tokenLife?: boolean;
  claims?: string[];
  sealTo?: string | undefined;
}

export function referenceDecide(
  world: World,
  identity: Identity,
  credential: string,
  lockdowns: readonly Lockdown[],
  now: number,
): Answer {
  if (!Object.keys(world.config.credentials).includes(credential)) return { allow: false, reason: 'no_credential' };
  for (const grant of world.config.grants) {
    const ways = grant.may.filter((way) => way === credential || creditsOf(world, way).includes(credential));
    const way = ways[0];
    if (way === undefined || failedMember(world, grant, identity) !== undefined) continue;
    for (const lockdown of lockdowns) {
      if (locks(world, lockdown, identity, grant.name, ways, credential, now)) {
        return { allow: false, reason: 'lockdown' };
      }
    }
    return allowed(world, grant, way);
  }
  return { allow: false, reason: 'no_grant' };
}

export function referencePermits(
  world: World,
  identity: Identity,
  permission: string,
  lockdowns: readonly Lockdown[],
  now: number,
): Answer {
  for (const grant of world.config.grants) {
    const ways = grant.may.filter((way) => rightsOf(world, way).includes(permission));
    const way = ways[0];
    if (way === undefined || failedMember(world, grant, identity) !== undefined) continue;
    for (const lockdown of lockdowns) {
      const named = ['issuer', 'identity', 'grant', 'role'].some((member) => member in lockdown.match);
      if (named && locks(world, lockdown, identity, grant.name, ways, undefined, now)) {
        return { allow: false, reason: 'lockdown' };
      }
    }
    return allowed(world, grant, way);
  }
  return { allow: false, reason: 'no_grant' };
}

export function referenceExplain(
  world: World,
  identity: Identity,
  credential: string,
  lockdowns: readonly Lockdown[],
  now: number,
) {
  const answer = referenceDecide(world, identity, credential, lockdowns, now);
  if (answer.allow && answer.sealTo !== undefined)
    return { decision: 'deny', nearest: [{ grant: answer.grant, member: 'sealTo' }] };
  if (answer.allow) return { decision: 'allow', grant: answer.grant, nearest: [] };
  if (answer.reason === 'no_credential') return { decision: 'deny', nearest: [] };
  if (answer.reason === 'lockdown') {
    const { grant } = referenceDecide(world, identity, credential, [], now);
    return { decision: 'deny', nearest: [{ grant, member: 'lockdown' }] };
  }
  const near: { grant: string; member: string; held: number }[] = [];
  for (const grant of world.config.grants) {
    if (grant.identity.issuer !== identity.issuer) continue;
    if (!grant.may.some((way) => way === credential || creditsOf(world, way).includes(credential))) continue;
    const held = conditionsOf(world, grant).filter(([, expected, actual]) => fits(expected, actual(identity))).length;
    near.push({ grant: grant.name, member: failedMember(world, grant, identity) as string, held });
  }
  near.sort((a, b) => b.held - a.held);
  return { decision: 'deny', nearest: near.slice(0, 5).map(({ grant, member }) => ({ grant, member })) };
}

function allowed(world: World, grant: RawGrant, way: string): Answer {
  return {
    allow: true,
    grant: grant.name,
    role: way in world.config.roles ? way : undefined,
    ttl: seconds(grant.ttl),
    maxTtl: seconds(grant.maxTtl),
    once: grant.once ?? false,
    tokenLife: grant.tokenLife ?? false,
    claims: grant.claims ?? [],
    sealTo: grant.sealTo,
  };
}

function failedMember(world: World, grant: RawGrant, identity: Identity): string | undefined {
  if (grant.identity.issuer !== identity.issuer) return 'issuer';
  for (const [label, expected, actual] of conditionsOf(world, grant)) {
    if (!fits(expected, actual(identity))) return label;
  }
  for (const [member, values] of Object.entries(world.requireNamed[identity.issuer] ?? {})) {
    const value = identity.members[member];
    if (typeof value === 'string' && values.includes(value) && !(member in grant.identity)) return member;
  }
  if (grant.when !== undefined && !world.whens[grant.when]?.(identity)) return 'when';
  return undefined;
}

function conditionsOf(world: World, grant: RawGrant): [string, unknown, (identity: Identity) => unknown][] {
  const { issuer, ...rest } = grant.identity;
  if (!world.generic.includes(issuer)) {
    return Object.entries(rest).map(([key, value]) => [key, value, (identity) => identity.members[key]]);
  }
  const conditions: [string, unknown, (identity: Identity) => unknown][] = [];
  for (const [key, value] of Object.entries(rest)) {
    if (key === 'subject') conditions.push(['subject', value, (identity) => identity.subject]);
    else {
      for (const [path, expected] of Object.entries(value as Record<string, unknown>)) {
        conditions.push([`claims.${path}`, expected, (identity) => claimAt(identity.claims, path.split('.'))]);
      }
    }
  }
  return conditions;
}

function fits(expected: unknown, actual: unknown): boolean {
  if (typeof expected !== typeof actual) return false;
  if (typeof expected !== 'string' || !expected.includes('*')) return expected === actual;
  const wanted = expected.split(/([:/])/);
  const got = (actual as string).split(/([:/])/);
  return wanted.length === got.length && wanted.every((part, at) => (part === '*' ? got[at] !== '' : part === got[at]));
}

function claimAt(value: unknown, parts: string[]): unknown {
  if (parts.length === 0) return value;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  for (let take = parts.length; take > 0; take--) {
    const name = parts.slice(0, take).join('.');
    if (!Object.keys(value).includes(name)) continue;
    const found = claimAt((value as Record<string, unknown>)[name], parts.slice(take));
    if (found !== undefined) return found;
  }
  return undefined;
}

function creditsOf({ config }: World, way: string): string[] {
  const role = config.roles[way];
  return Array.isArray(role) ? role : (role?.credentials ?? []);
}

function rightsOf({ config }: World, way: string): string[] {
  const role = config.roles[way];
  if (role === undefined || Array.isArray(role)) return [];
  const rights = (role.audit === undefined ? [] : [role.audit].flat()).map((right) => `audit:${right}`);
  for (const area of ['ledger', 'leases', 'lockdown'] as const) if (role[area]) rights.push(`${area}:${role[area]}`);
  return rights;
}

function locks(
  world: World,
  lockdown: Lockdown,
  identity: Identity,
  grant: string,
  ways: string[],
  credential: string | undefined,
  now: number,
): boolean {
  if (lockdown.until !== undefined && now >= Date.parse(lockdown.until)) return false;
  const entry = credential === undefined ? undefined : world.config.credentials[credential];
  const facts: Record<string, (wanted: string) => boolean> = {
    issuer: (wanted) => wanted === identity.issuer,
    identity: (wanted) => fits(wanted, identity.name),
    grant: (wanted) => wanted === grant,
    role: (wanted) => wanted in world.config.roles && ways.includes(wanted),
    credential: (wanted) => wanted === credential,
    store: (wanted) => wanted === entry?.store || wanted === entry?.admin?.store,
  };
  return Object.entries(lockdown.match).every(([member, wanted]) => facts[member]?.(wanted as string));
}

function seconds(duration: string | undefined): number | undefined {
  const units = { s: 1, m: 60, h: 3600, d: 86_400 };
  if (duration === undefined) return undefined;
  return Number(duration.slice(0, -1)) * units[duration.slice(-1) as keyof typeof units];
}
