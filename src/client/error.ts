/**
 * What went wrong, as a word that is kept. Hallpass's own codes come through as they are; the client's own are
 * `misused` (its options), `no_token`, `unreachable` (no answer in time), `not_understood` (an answer, and not Hallpass's)
 * and `receipt_invalid`.
 */
export type HallpassErrorCode =
  | 'misused'
  | 'no_token'
  | 'unreachable'
  | 'not_understood'
  | 'receipt_invalid'
  | 'invalid_request'
  | 'token_missing'
  | 'token_invalid'
  | 'denied'
  | 'not_found'
  | 'replayed'
  | 'rate_limited'
  | 'store_failed'
  | 'store_timeout'
  | 'ledger_unavailable'
  | 'issuer_unavailable'
  | 'overloaded'
  | 'internal'
  | (string & {});

export interface HallpassErrorFacts {
  /** Of Hallpass's answer; absent when there was none. */
  readonly status?: number | undefined;
  /** What the operator finds the refusal by. */
  readonly requestId?: string | undefined;
  /** What to do about it. */
  readonly hint?: string | undefined;
  /** Seconds after which Hallpass wants to be asked again. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** The only error the client throws of its own; `message` holds no secret and no token. */
export class HallpassError extends Error {
  override readonly name = 'HallpassError';
  declare readonly status?: number;
  declare readonly requestId?: string;
  declare readonly hint?: string;
  declare readonly retryAfter?: number;

  constructor(
    readonly code: HallpassErrorCode,
    message: string,
    { cause, ...facts }: HallpassErrorFacts = {},
  ) {
    super(facts.hint === undefined ? message : `${message}: ${facts.hint}`, { cause });
    Object.assign(this, facts);
  }

  /** Whether the same call may succeed later: Hallpass is away or busy, and has refused nothing. */
  get passing(): boolean {
    const { code, status = 0 } = this;
    return code === 'unreachable' || status === 429 || status >= 500;
  }
}
