/** The stable codes a caller can meet (API: problems). */
export type ProblemCode =
  | 'invalid_request'
  | 'token_missing'
  | 'token_invalid'
  | 'denied'
  | 'not_found'
  | 'method_not_allowed'
  | 'not_acceptable'
  | 'too_large'
  | 'unsupported_media_type'
  | 'rate_limited'
  | 'replayed'
  | 'stale'
  | 'store_failed'
  | 'store_timeout'
  | 'ledger_unavailable'
  | 'issuer_unavailable'
  | 'overloaded'
  | 'internal';

export interface RefusalOptions {
  /** Said to the caller; from fixed templates, never an upstream's words nor anything the policy holds. */
  readonly detail?: string;
  readonly hint?: string;
  /** Seconds. */
  readonly retryAfter?: number;
  /** Further members of the problem document (409: `index`, `epoch`, `lockdowns`). */
  readonly members?: Readonly<Record<string, unknown>>;
  /** Allow-listed facts for the operator's log. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
  readonly cause?: unknown;
}

/**
 * The one error that rooms throw when a call must end. `code` is what the caller sees; `reason` is a stable word for
 * the operator's log, metrics and records, and is never sent to the caller.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  constructor(
    readonly code: ProblemCode,
    readonly reason: string,
    readonly options: RefusalOptions = {},
  ) {
    super(`${code}: ${reason}`, { cause: options.cause });
  }
}
