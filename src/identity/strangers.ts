import { claimAt } from '../lib/claims.ts';
import type { JsonObject } from '../lib/strict-json.ts';
import type { IssuerProfile } from './preset.ts';

/** How long good tokens of a foreign tenant are counted, milliseconds, and after how many its others are not checked. */
const window = 60_000;
const enough = 100;
/** Tenants that are remembered, and characters of what names one. */
const mostTenants = 1_000;
const longestTenant = 256;

/**
 * Tenants of a shared issuer that are not ours, by good tokens of theirs: each was refused as `tenant` after its signature
 * was found good. So nobody can put another's name here, nor read off what is configured: what is not known to be
 * foreign is treated as ours.
 */
export interface Strangers {
  /** Counts a good token of a foreign tenant; `issuers` are all that verify for its `iss`. */
  count(issuers: readonly Issuer[], claims: JsonObject, now: number): void;
  /** Whether enough good tokens of the tenant that these claims name came within the window. */
  areMany(issuers: readonly Issuer[], claims: JsonObject, now: number): boolean;
}

type Issuer = Pick<IssuerProfile, 'issuer' | 'tenantClaims'>;

export function countStrangers(): Strangers {
  const seen = new Map<string, { readonly since: number; count: number }>();
  // A clock that goes back begins anew.
  const current = (tenant: string, now: number) => {
    const entry = seen.get(tenant);
    return entry !== undefined && now >= entry.since && now - entry.since < window ? entry : undefined;
  };
  return {
    count(issuers, claims, now) {
      const tenant = tenantOf(issuers, claims);
      if (tenant === undefined) return;
      const entry = current(tenant, now);
      if (entry !== undefined) {
        entry.count++;
        return;
      }
      seen.delete(tenant);
      if (seen.size >= mostTenants) seen.delete(seen.keys().next().value as string);
      seen.set(tenant, { since: now, count: 1 });
    },
    areMany(issuers, claims, now) {
      const tenant = tenantOf(issuers, claims);
      return tenant !== undefined && (current(tenant, now)?.count ?? 0) >= enough;
    },
  };
}

/** What names a token's tenant: its issuer and the claims that tell; undefined where one is no plain value, or it is long. */
function tenantOf(issuers: readonly Issuer[], claims: JsonObject): string | undefined {
  const names = new Set(issuers.flatMap(({ tenantClaims = [] }) => tenantClaims));
  if (names.size === 0) return undefined;
  const values = [...names].map((name) => claimAt(claims, name) ?? null);
  if (values.some((value) => typeof value === 'object' && value !== null)) return undefined;
  const tenant = JSON.stringify([issuers[0]?.issuer, ...values]);
  return tenant.length <= longestTenant ? tenant : undefined;
}
