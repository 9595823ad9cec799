import type { Identity } from '../lib/identity.ts';
import type { IssuerShape } from '../lib/issuer-shape.ts';
import type { Lockdown } from '../lib/lockdown.ts';
import { readSource } from './condition.ts';
import { newRoutes, type Route, type Routes, type RoutesBuilder } from './grant-index.ts';
import type { Grant } from './grants.ts';
import { fits, isLocked } from './lockdown.ts';
import { type Failed, type MustName, mustNameOf, nearness, passesRest } from './match.ts';
import type { DenialReason, Explanation, NearMiss, Permission, Policy, Role } from './policy.ts';

export interface Rules {
  readonly hash: string;
  readonly grants: readonly Grant[];
  /** Each credential's stores, by its name. */
  readonly credentials: ReadonlyMap<string, readonly string[]>;
  readonly shapes: ReadonlyMap<string, IssuerShape>;
}

const mostNearMisses = 5;

const denials = Object.freeze({
  no_credential: deny('no_credential'),
  no_grant: deny('no_grant'),
  lockdown: deny('lockdown'),
});

/** Indexes compiled grants; what it returns keeps no reference to anything a caller could change. */
export function decider(rules: Rules): Policy {
  const { credentials, shapes } = rules;
  const byCredential = newTable();
  const byPermission = newTable();
  for (const grant of rules.grants) enter(grant, byCredential, byPermission);
  const byName = new Map(rules.grants.map((grant) => [grant.name, grant]));

  const firstIn = (routes: Routes | undefined, identity: Identity) => {
    if (routes === undefined) return undefined;
    const mustName = mustNameOf(identity, shapes.get(identity.issuer));
    return routes.first(identity, ({ grant }) => passesRest(grant, identity, mustName));
  };
  const isStopped = (
    route: Route,
    identity: Identity,
    credential: string,
    lockdowns: readonly Lockdown[],
    now: number,
  ) =>
    lockdowns.length > 0 &&
    isLocked(
      lockdowns,
      {
        identity,
        grant: route.grant.name,
        roles: rolesWith(route.grant, (role) => role.credentials.includes(credential)),
        credential,
        stores: credentials.get(credential) ?? [],
      },
      now,
    );

  return Object.freeze<Policy>({
    hash: rules.hash,
    grants: rules.grants.length,
    credentials: credentials.size,
    longestTtl: rules.grants.reduce((most, { terms }) => Math.max(most, terms.maxTtl ?? terms.ttl ?? 0), 0),

    decide(identity, credential, lockdowns, now) {
      if (!credentials.has(credential)) return denials.no_credential;
      const route = firstIn(byCredential.get(identity.issuer, credential), identity);
      if (route === undefined) return denials.no_grant;
      return isStopped(route, identity, credential, lockdowns, now) ? denials.lockdown : route.decision;
    },

    permits(identity, permission, lockdowns, now) {
      const route = firstIn(byPermission.get(identity.issuer, permission), identity);
      if (route === undefined) return denials.no_grant;
      const roles = rolesWith(route.grant, (role) => role.permissions.includes(permission));
      const scope = { identity, grant: route.grant.name, roles, stores: [] };
      return isLocked(lockdowns, scope, now) ? denials.lockdown : route.decision;
    },

    explain(identity, credential, lockdowns, now, values = false): Explanation {
      const routes = byCredential.get(identity.issuer, credential);
      if (routes === undefined) return { decision: 'deny', nearest: [] };
      const route = firstIn(routes, identity);
      if (route === undefined) return { decision: 'deny', nearest: nearMisses(routes, identity, shapes, values) };
      const grant = route.grant.name;
      if (isStopped(route, identity, credential, lockdowns, now))
        return { decision: 'deny', nearest: [{ grant, member: 'lockdown' }] };
      const { sealTo } = route.grant.terms;
      if (sealTo === undefined) return { decision: 'allow', grant, nearest: [] };
      return { decision: 'deny', nearest: [{ grant, member: 'sealTo', ...(values && { expected: sealTo }) }] };
    },

    covers(match, { issuer, name, grant, credential, store }) {
      // Another broker of the ledger may have grants and credentials that this policy does not know.
      const given = byName.get(grant ?? '');
      const roles = given && rolesWith(given, (role) => role.credentials.includes(credential ?? ''));
      const behind = credentials.get(credential ?? '');
      const stores = store === undefined ? behind : [store, ...(behind ?? [])];
      return fits(match, { issuer, name, grant, roles, credential, stores });
    },
  });
}

interface Table {
  at(issuer: string, target: string): RoutesBuilder;
  get(issuer: string, target: string): Routes | undefined;
}

function newTable(): Table {
  const issuers = new Map<string, Map<string, RoutesBuilder>>();
  return {
    at(issuer, target) {
      const targets = issuers.get(issuer) ?? new Map<string, RoutesBuilder>();
      issuers.set(issuer, targets);
      const routes = targets.get(target) ?? newRoutes();
      targets.set(target, routes);
      return routes;
    },
    get: (issuer, target) => issuers.get(issuer)?.get(target),
  };
}

// Of a grant that gives one thing in two ways, the first written is the one.
function enter(grant: Grant, byCredential: Table, byPermission: Table): void {
  const credentials = new Set<string>();
  const permissions = new Set<Permission>();
  for (const way of grant.may) {
    const role = typeof way === 'string' ? undefined : way;
    const route = newRoute(grant, role);
    for (const credential of typeof way === 'string' ? [way] : way.credentials) {
      if (!credentials.has(credential)) byCredential.at(grant.issuer, credential).add(route);
      credentials.add(credential);
    }
    for (const permission of role?.permissions ?? []) {
      if (!permissions.has(permission)) byPermission.at(grant.issuer, permission).add(route);
      permissions.add(permission);
    }
  }
}

function newRoute(grant: Grant, role: Role | undefined): Route {
  const decision = Object.freeze({ allow: true as const, grant: grant.name, role, terms: grant.terms });
  return Object.freeze({ grant, decision });
}

function nearMisses(
  routes: Routes,
  identity: Identity,
  shapes: ReadonlyMap<string, IssuerShape>,
  values: boolean,
): NearMiss[] {
  const mustName: MustName = mustNameOf(identity, shapes.get(identity.issuer));
  const best: { held: number; grant: string; failed: Failed }[] = [];
  for (const { grant } of routes.all) {
    const { held, failed } = nearness(grant, identity, mustName);
    if (failed === undefined) continue;
    const at = best.findIndex((other) => other.held < held);
    if (at !== -1) best.splice(at, 0, { held, grant: grant.name, failed });
    else if (best.length < mostNearMisses) best.push({ held, grant: grant.name, failed });
    if (best.length > mostNearMisses) best.pop();
  }
  return best.map(({ grant, failed }) => ({
    grant,
    member: failed.label,
    ...(values && valuesOf(failed, identity)),
  }));
}

/** What was compared. A claim that is an object or a list is not repeated. */
function valuesOf({ condition }: Failed, identity: Identity): Pick<NearMiss, 'expected' | 'actual'> {
  if (condition === undefined) return {};
  const actual = readSource(identity, condition);
  const isSimple = typeof actual === 'string' || typeof actual === 'number' || typeof actual === 'boolean';
  return { expected: condition.value, ...(isSimple && { actual }) };
}

const rolesWith = (grant: Grant, gives: (role: Role) => boolean): string[] =>
  grant.may.filter((way): way is Role => typeof way !== 'string' && gives(way)).map(({ name }) => name);

function deny(reason: DenialReason) {
  return Object.freeze({ allow: false, reason } as const);
}
