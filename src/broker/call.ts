import type { Receipt } from '../ledger/ledger.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { SealKey } from './seal-key.ts';

/** What every call carries: ids for the record and the log, and until when it may go on. */
export interface Call {
  readonly token: string;
  /** The props of the service binding it came by, in place of a token. */
  readonly binding?: { readonly props: unknown } | undefined;
  /** Request id. */
  readonly request: string;
  /** W3C trace id, 32 hex digits. */
  readonly trace?: string;
  /** The caller's address as the platform tells it; never from a header of the caller's. */
  readonly address?: string;
  readonly deadline: Deadline;
}

/** The body of an issue request, checked. */
export interface IssueOptions {
  /** Seconds. */
  readonly ttl?: number;
  readonly reason?: string;
  readonly invocation?: { readonly id?: string; readonly deadline?: string };
  /** Hand over a JWE for this key in place of the data. */
  readonly sealTo?: SealKey;
  /** A certificate request (PEM) or a public key (one OpenSSH line), for kinds that sign them. */
  readonly csr?: string;
  readonly publicKey?: string;
}

/** Several credentials for one call. */
export interface BatchCall extends Call {
  /** Reads and checks the body, once the token is verified. @throws Refusal invalid_request, too_large, ... */
  readonly asked: () => Promise<{ readonly names: readonly string[]; readonly options: IssueOptions }>;
}

export interface IssueCall extends Call {
  readonly credential: string;
  /**
   * Reads and checks the body; called after the decision, never before. @throws Refusal invalid_request, too_large, ...;
   * `denied` where what was decided cannot be handed over in the way that is asked, recorded like any denial
   */
  readonly options: () => Promise<IssueOptions>;
}

/** The 200 of POST /v1/credentials/{name}. */
export interface IssueAnswer {
  readonly id: string;
  readonly credential: string;
  readonly kind: string;
  /** Absent where the caller gave a key to seal it to. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** In place of `data`: a compact JWE of its JSON. */
  readonly sealed?: string;
  readonly lease: {
    readonly expiresAt: string;
    readonly ttl: number;
    readonly revocable: boolean;
    readonly renewable: boolean;
    /** Opens the lease to whoever holds it. */
    readonly handle: string;
  };
  readonly receipt: Receipt;
}

/** What ties a record to the call that caused it. */
export const causeOf = (call: Call) => ({ request: call.request, trace: call.trace });
