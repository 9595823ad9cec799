import type { Ref } from '../lib/ref.ts';
import type { Json, JsonObject } from '../lib/strict-json.ts';
import type { Policy } from '../policy/policy.ts';

/** Numbers of `limits`, defaults filled in; milliseconds and bytes. */
export interface Limits {
  readonly tokenBytes: number;
  readonly bodyBytes: number;
  readonly openRequests: number;
  readonly requestMs: number;
  readonly jwksMs: number;
  readonly storeMs: number;
  readonly mintMs: number;
  readonly ledgerMs: number;
  /** Kept back of a request's deadline for undoing. */
  readonly undoMs: number;
}

/** A plug-in's entry as its own schema accepted it, defaults filled in; `kind` is its name in the catalog. */
export type Entry = { readonly kind: string } & Readonly<Record<string, unknown>>;

/** A config that was checked: every name is known, every default filled in, every plug-in runs here. */
export interface Config {
  readonly broker: {
    readonly url: string;
    /** What workload tokens must be for, unless their issuer names its own. Default: `url`. */
    readonly audience: string;
    readonly signer: readonly Entry[];
    /** How long a new key is published before it signs, milliseconds. */
    readonly announceMs: number;
    /** Newest first. */
    readonly secret?: readonly Ref[];
    readonly explain: 'names' | 'values' | 'off';
  };
  /** The driver's entry; `origin` is computed where none was written. */
  readonly ledger: Entry & { readonly origin: string; readonly public: boolean };
  /** By name, as the preset's schema accepted them. */
  readonly issuers: Readonly<Record<string, JsonObject>>;
  readonly stores: Readonly<Record<string, Entry>>;
  readonly credentials: Readonly<Record<string, Entry>>;
  readonly sinks: Readonly<Record<string, Entry>>;
  readonly limits: Limits;
  /** What the policy is compiled from and hashed over: as configured, variables filled in, defaults not. */
  readonly policyInput: PolicyInput;
  /** Compiled from `policyInput`. */
  readonly policy: Policy;
}

export interface PolicyInput {
  readonly issuers: JsonObject;
  readonly credentials: JsonObject;
  readonly roles?: JsonObject;
  readonly grants?: readonly Json[];
}
