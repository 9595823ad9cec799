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

// One entry per member of ProblemCode: the compiler refuses a list that forgets or invents one.
const problemCodes: { readonly [code in ProblemCode]: true } = {
  invalid_request: true,
  token_missing: true,
  token_invalid: true,
  denied: true,
  not_found: true,
  method_not_allowed: true,
  not_acceptable: true,
  too_large: true,
  unsupported_media_type: true,
  rate_limited: true,
  replayed: true,
  stale: true,
  store_failed: true,
  store_timeout: true,
  ledger_unavailable: true,
  issuer_unavailable: true,
  overloaded: true,
  internal: true,
};

/** Whether what another server said is one of ours, and may be logged as it is. */
export const isProblemCode = (value: unknown): value is ProblemCode =>
  typeof value === 'string' && Object.hasOwn(problemCodes, value);

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
