import { Refusal } from '../lib/refusal.ts';

/** Why a token was not verified: a stable word for the operator's log and metrics, never for the caller. */
export type TokenReason =
  | 'too_long'
  | 'malformed'
  | 'header'
  | 'payload'
  | 'issuer'
  | 'algorithm'
  | 'kid'
  | 'signature'
  | 'audience'
  | 'expired'
  | 'not_yet'
  | 'lifetime'
  | 'subject'
  | 'bound'
  | 'claims'
  | 'tenant'
  /** Of a foreign tenant that floods, by its claims; nobody checked its signature. */
  | 'unverified'
  | 'binding';

/**
 * `issuer` is its name in the config, once that is known. Made without a stack: nobody reads it, and taking one is, after the
 * signature, what refusing a flood of foreign tokens costs most.
 */
export function refuseToken(reason: TokenReason, issuer?: string): Refusal {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const refusal = new Refusal('token_invalid', reason, issuer === undefined ? {} : { facts: { issuer } });
  Error.stackTraceLimit = stackTraceLimit;
  return refusal;
}
