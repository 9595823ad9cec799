import { HttpError } from '../../lib/http-client.ts';
import { faultOfStatus, fromHttpError, retryAfterOf, UpstreamError, type UpstreamFault } from '../../lib/upstream.ts';

/** What AWS's own words for a refusal mean; a name it spells in two ways is here without its `Exception`. */
const faults: Readonly<Record<string, UpstreamFault>> = {
  ResourceNotFound: 'absent',
  NotFound: 'absent',
  AccessDenied: 'denied',
  UnrecognizedClient: 'denied',
  InvalidClientTokenId: 'denied',
  ExpiredToken: 'denied',
  MissingAuthenticationToken: 'denied',
  IncompleteSignature: 'denied',
  InvalidSignature: 'denied',
  SignatureDoesNotMatch: 'denied',
  RequestExpired: 'denied',
  RequestTimeTooSkewed: 'denied',
  RequestInTheFuture: 'denied',
  OptInRequired: 'denied',
  RegionDisabled: 'denied',
  InvalidIdentityToken: 'denied',
  IDPRejectedClaim: 'denied',
  IDPCommunicationError: 'unreachable',
  PackedPolicyTooLarge: 'invalid',
  MalformedPolicyDocument: 'invalid',
  Throttling: 'throttled',
  Throttled: 'throttled',
  TooManyRequests: 'throttled',
  RequestLimitExceeded: 'throttled',
  LimitExceeded: 'throttled',
  InternalServiceError: 'unreachable',
  InternalFailure: 'unreachable',
  ServiceUnavailable: 'unreachable',
  KMSInternal: 'unreachable',
  DependencyTimeout: 'unreachable',
  KeyUnavailable: 'unreachable',
  // The key behind the value is switched off or about to be deleted; one we may not use is AccessDenied.
  DecryptionFailure: 'disabled',
  EncryptionFailure: 'disabled',
  Disabled: 'disabled',
  KMSInvalidState: 'disabled',
  InvalidCiphertext: 'damaged',
  IncorrectKey: 'damaged',
};

const skewed = /^(RequestExpired|RequestTimeTooSkewed|RequestInTheFuture)$/;
const about = /^Signature (expired|not yet current)\b/i;
/** What it says of a session that is over, or was ended from the other side. */
const over = /^(ExpiredToken|UnrecognizedClient|InvalidClientTokenId)(Exception)?$/;

/** What must be changed for a session of a role, by AWS's code and what its message has in it. */
const remedies: readonly (readonly [string, RegExp, string])[] = [
  ['ValidationError', /\bDurationSeconds exceeds\b/, 'session_too_long'],
  ['PackedPolicyTooLarge', /^/, 'policy_too_large'],
  ['MalformedPolicyDocument', /^/, 'policy_malformed'],
  ['AccessDenied', /\bsts:TagSession\b/, 'no_tag_session'],
  ['AccessDenied', /\bsts:SetSourceIdentity\b/, 'no_source_identity'],
];

/** A refusal as AWS words it. */
export interface AwsRefusal {
  readonly code: string | undefined;
  readonly message: string;
  readonly status: number;
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** A refusal by its code, else by its status. Its message is looked at and goes nowhere. */
export function refused({ code = '', message, status, retryAfter, cause }: AwsRefusal, step: string): UpstreamError {
  const name = code.replace(/Exception$/, '');
  const fault = Object.hasOwn(faults, name) ? (faults[name] as UpstreamFault) : faultOfStatus(status);
  const reason = reasonOf(name, message, fault, status);
  return new UpstreamError(fault, { step, status, code, reason, retryAfter, cause });
}

function reasonOf(name: string, message: string, fault: UpstreamFault, status: number): string | undefined {
  // AWS says it by three names of its own, and as a signature that is wrong for no other reason.
  if (skewed.test(name) || (/^(InvalidSignature|SignatureDoesNotMatch)$/.test(name) && about.test(message)))
    return 'clock_skew';
  const remedy = remedies.find(([code, said]) => code === name && said.test(message));
  if (remedy !== undefined) return remedy[2];
  if (fault === 'throttled') return 'throttled';
  return status >= 500 ? 'server_error' : undefined;
}

/** Whatever a client of the SDK, or the transport under it, has thrown. */
export function fromSdk(error: unknown, step: string): UpstreamError {
  if (error instanceof UpstreamError) return error;
  if (error instanceof HttpError) return fromHttpError(error, step);
  const { name, message, status, headers } = partsOf(error);
  if (status === undefined) return new UpstreamError('unreachable', { step, cause: error });
  // An answer that is no JSON: an error page in XML by its status, anything else is nothing we can use.
  const unreadable = error instanceof SyntaxError;
  // The SDK's own word where AWS gave none.
  const unnamed = unreadable || name === 'Unknown';
  if (unreadable && status < 300) return new UpstreamError('unreachable', { step, reason: 'not_json', status });
  const retryAfter = retryAfterOf(new Headers(headers));
  return refused({ code: unnamed ? undefined : name, message, status, retryAfter, cause: error }, step);
}

export const isSessionOver = (error: UpstreamError): boolean =>
  error.facts.reason !== 'clock_skew' && over.test(error.facts.code ?? '');

function partsOf(error: unknown) {
  const { name, message, $metadata, $response } = error as {
    name?: unknown;
    message?: unknown;
    $metadata?: { httpStatusCode?: number };
    $response?: { headers?: Record<string, string> };
  };
  const status = $metadata?.httpStatusCode;
  return { name: String(name), message: String(message), status, headers: $response?.headers ?? {} };
}
