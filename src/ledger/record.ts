import type { Mint } from '../lib/mint.ts';
import type { JsonObject } from '../lib/strict-json.ts';

export type RecordType =
  | 'intent'
  | 'issuance'
  | 'failure'
  | 'denial'
  | 'revocation'
  | 'renewal'
  | 'session'
  | 'lockdown'
  | 'policy'
  | 'key'
  | 'rotation'
  | 'store-write'
  | 'erasure'
  | 'read'
  | 'sign-in'
  | 'summary';

export interface Writer {
  /** The broker's `broker.url`. */
  readonly name: string;
  readonly instance: string;
  readonly version: string;
}

export interface LeaseFacts {
  readonly expiresAt: string;
  readonly ttl: number;
  readonly account?: string;
  readonly revocable: boolean;
}

/** One record as API section 4 has it; members that do not apply are absent. */
export interface LedgerRecord {
  readonly v: 1;
  readonly type: RecordType;
  readonly id: string;
  /** RFC 3339 UTC, milliseconds. */
  readonly time: string;
  readonly writer: Writer;
  readonly issuance?: string;
  readonly request?: string;
  readonly trace?: string;
  readonly identity?: { readonly issuer: string; readonly who: string };
  readonly credential?: string;
  readonly kind?: string;
  readonly store?: string;
  readonly version?: string;
  readonly grant?: string;
  readonly policy?: string;
  readonly epoch?: number;
  readonly once?: string;
  readonly reason?: string;
  readonly count?: number;
  readonly lease?: LeaseFacts;
  readonly fingerprint?: string;
  readonly fingerprintKey?: string;
  // The other types' own members.
  readonly audience?: string;
  readonly purpose?: string;
  readonly kid?: string;
  readonly jwk?: JsonObject;
  readonly state?: string;
  readonly hash?: string;
  readonly grants?: number;
  readonly credentials?: number;
  readonly query?: string;
  readonly items?: number;
  readonly issuer?: string;
  readonly from?: string;
  readonly to?: string;
  readonly counts?: Readonly<Record<string, number>>;
  readonly op?: string;
  readonly target?: string;
  readonly until?: string;
  readonly step?: string;
}

/** The erasable part of a record: who it was about. Absent members are left out. */
export interface Disclosed {
  readonly name?: string;
  readonly iss?: string;
  readonly subject?: string;
  readonly token?: string;
  readonly claims?: JsonObject;
  readonly invocation?: JsonObject;
  readonly why?: string;
  readonly address?: string;
  readonly mint?: Mint;
  readonly query?: JsonObject;
  readonly match?: JsonObject;
}

/** A record as its canonical text, with its disclosure (base64url) or null. */
export interface RecordText {
  readonly record: string;
  readonly disclosure: string | null;
}
