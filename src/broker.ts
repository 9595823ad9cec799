import type { Deadline } from './lib/deadline.ts';
import type { Identity } from './lib/identity.ts';
import type { Receipt } from './ledger/ledger.ts';
import type { Decision, Explanation, Permission } from './policy/policy.ts';

/** What every call carries: ids for the record and the log, and until when it may go on. */
export interface Call {
  readonly token: string;
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
}

export interface IssueCall extends Call {
  readonly credential: string;
  /** Reads and checks the body; called after the decision, never before. @throws Refusal invalid_request, too_large, ... */
  readonly options: () => Promise<IssueOptions>;
}

/** The 200 of POST /v1/credentials/{name}. */
export interface IssueAnswer {
  readonly id: string;
  readonly credential: string;
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly lease: { readonly expiresAt: string; readonly ttl: number; readonly revocable: boolean; readonly renewable: boolean };
  readonly receipt: Receipt;
}

export interface Broker {
  /** verify -> decide -> (intent) -> read or mint -> record -> release. Rejects with a Refusal. */
  issue(call: IssueCall): Promise<IssueAnswer>;
  /** `done`: gone at the target (or nothing to do there); `recorded`: not yet done at the target. */
  revoke(call: Call & { readonly id: string }): Promise<'done' | 'recorded'>;
  /** @throws Refusal not_found when `broker.explain` is off */
  explain(call: Call & { readonly credential: string }): Promise<Explanation>;
  /** Verifies the token and decides a permission; a denial is recorded. @throws Refusal */
  permit(call: Call, permission: Permission): Promise<{ readonly identity: Identity; readonly decision: Decision & { allow: true } }>;
  /** Appends the `read` record of an auditor's query. @throws Refusal ledger_unavailable: then there is no answer */
  recordRead(call: Call, identity: Identity, query: Readonly<Record<string, string | number>>, items: number): Promise<void>;
}
