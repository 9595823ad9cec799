import type { Identity } from '../lib/identity.ts';
import type { Lockdown } from '../lib/lockdown.ts';

export type { Lockdown };

export type Permission =
  | 'audit:read'
  | 'audit:trace'
  | 'audit:erase'
  | 'ledger:append'
  | 'ledger:follow'
  | 'ledger:roll'
  | 'leases:revoke'
  | 'secrets:rotate'
  | 'lockdown:write';

/** What a role gives beyond credentials. */
export interface Role {
  readonly name: string;
  readonly credentials: readonly string[];
  readonly permissions: readonly Permission[];
  /** Credentials and stores the writer may have signed. */
  readonly mint: readonly string[];
  /** The writer's name where the token is ambient and its `iss` is not the broker's URL. */
  readonly writer?: string;
}

/** A grant's terms, seconds; what a matching grant allows. */
export interface Terms {
  readonly ttl?: number;
  readonly maxTtl?: number;
  readonly once: boolean;
  readonly tokenLife: boolean;
  /** Further claim paths for the disclosure. */
  readonly claims: readonly string[];
  /** The RFC 7638 thumbprint of the one key to which what is handed over is sealed. */
  readonly sealTo?: string;
  /** Live leases of one credential that one identity may have at once. */
  readonly max?: number;
}

export type Decision =
  | { readonly allow: true; readonly grant: string; readonly role?: Role; readonly terms: Terms }
  | { readonly allow: false; readonly reason: DenialReason };

export type DenialReason = 'no_grant' | 'no_credential' | 'lockdown';

export interface Explanation {
  readonly decision: 'allow' | 'deny';
  readonly grant?: string;
  /** The near misses: grants that would have given it, and the first member that failed. */
  readonly nearest: readonly NearMiss[];
}

export interface NearMiss {
  readonly grant: string;
  readonly member: string;
  /** What the grant wants there, where values are asked for and the member is one of its `identity`. */
  readonly expected?: string | number | boolean;
  /** What the token has there, where values are asked for and it has a simple value. */
  readonly actual?: string | number | boolean;
}

/** What a record says of something that was issued; `name` is absent once it is erased. */
export interface IssuedFacts {
  readonly issuer?: string | undefined;
  readonly name?: string | undefined;
  readonly grant?: string | undefined;
  readonly credential?: string | undefined;
  readonly store?: string | undefined;
}

/** Compiled once, immutable, pure: the same question gets the same answer for ever. */
export interface Policy {
  /** `sha256:` + base64url(SHA-256(RFC 8785 of {issuers, credentials, roles, grants} as configured)). */
  readonly hash: string;
  readonly grants: number;
  readonly credentials: number;
  /** May this identity have this credential? The first matching grant of the file is the one. */
  decide(identity: Identity, credential: string, lockdowns: readonly Lockdown[], now: number): Decision;
  /** May this identity do this? The first matching grant that gives the permission; its role says the rest. */
  permits(identity: Identity, permission: Permission, lockdowns: readonly Lockdown[], now: number): Decision;
  /**
   * As `decide`, and why not; with `values`, the compared values of each near miss as well. It is asked without a key, so
   * a grant that pins one comes no nearer than its `sealTo`.
   */
  explain(
    identity: Identity,
    credential: string,
    lockdowns: readonly Lockdown[],
    now: number,
    values?: boolean,
  ): Explanation;
  /** Whether a lockdown's match fits what was issued; undefined where this policy and the record do not say. */
  covers(match: Lockdown['match'], issued: IssuedFacts): boolean | undefined;
  /** The longest that a lease lives by any grant, with all its renewals; seconds. */
  readonly longestTtl: number;
}
