import type { Identity } from '../lib/identity.ts';
import type { Lockdown } from '../lib/lockdown.ts';

export type { Lockdown };

export type Permission =
  | 'audit:read'
  | 'audit:trace'
  | 'audit:erase'
  | 'ledger:append'
  | 'leases:revoke'
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
  readonly sealTo?: string;
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
  readonly nearest: readonly { readonly grant: string; readonly member: string }[];
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
  explain(identity: Identity, credential: string, lockdowns: readonly Lockdown[], now: number): Explanation;
}
