import type { TokenType } from '../credentials/kind.ts';
import { isAbsoluteUri } from '../lib/url.ts';
import { type OAuthError, oauthRefusal } from './oauth-error.ts';
import { isCredentialName } from './schemas.ts';

export const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** A token exchange request (RFC 8693 section 2.1), checked as far as it can be without asking anybody. */
export interface ExchangeForm {
  readonly subjectToken: string;
  /** A credential's name or an absolute URI; whether there is such a one is not known here. */
  readonly target: string;
  /** Absent where the kind may choose. */
  readonly requestedType?: TokenType;
  /** A scope was asked for; which ones matters to no kind. */
  readonly scoped: boolean;
}

/** A workload token is a JWT, whatever its platform calls it. */
export const subjectTypes: readonly string[] = [
  'urn:ietf:params:oauth:token-type:jwt',
  'urn:ietf:params:oauth:token-type:id_token',
];
export const issuedTypes: readonly TokenType[] = [
  'urn:ietf:params:oauth:token-type:jwt',
  'urn:ietf:params:oauth:token-type:access_token',
];

// RFC 6749 section 3.3.
const scopes = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/;

/**
 * Reads the text of a form. Parameters without a value are as good as absent, unknown ones are ignored, and none may come
 * twice (RFC 6749 section 3.2). Nothing of it is repeated in an answer. @throws Refusal invalid_request
 */
export function readExchange(text: string): ExchangeForm {
  const form = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (value === '') continue;
    // Several are legal in both (RFC 8693 section 2.1, RFC 8707 section 2), and one token is for one credential.
    if (form.has(name) && (name === 'resource' || name === 'audience')) throw target('Name one target.');
    if (form.has(name)) throw invalid('form_twice', 'A parameter came twice.');
    form.set(name, value);
  }
  checkGrant(form);
  const subjectToken = form.get('subject_token');
  if (subjectToken === undefined) throw invalid('subject_token', 'subject_token is missing.');
  const { requestedType, scoped } = readWishes(form);
  return { subjectToken, target: readTarget(form), requestedType, scoped };
}

function checkGrant(form: ReadonlyMap<string, string>): void {
  const grantType = form.get('grant_type');
  if (grantType === undefined) throw invalid('grant_type', 'grant_type is missing.');
  if (grantType !== tokenExchange) throw refuse('unsupported_grant_type', `The one grant_type is ${tokenExchange}.`);
  // A client_id alone names a client and proves nothing.
  if (form.has('client_secret') || form.has('client_assertion') || form.has('client_assertion_type'))
    throw refuse('invalid_client', 'Clients are not authenticated here; the subject_token is the proof.');
  if (form.has('actor_token') || form.has('actor_token_type'))
    throw invalid('actor_token', 'An actor_token is not taken.');
  if (!subjectTypes.includes(form.get('subject_token_type') ?? ''))
    throw invalid('subject_token_type', `subject_token_type must be one of ${subjectTypes.join(', ')}.`);
}

function readWishes(form: ReadonlyMap<string, string>): Pick<ExchangeForm, 'requestedType' | 'scoped'> {
  const asked = form.get('requested_token_type');
  const requestedType = issuedTypes.find((type) => type === asked);
  if (asked !== undefined && requestedType === undefined)
    throw invalid('requested_token_type', `requested_token_type must be one of ${issuedTypes.join(', ')}.`);
  const scope = form.get('scope');
  if (scope !== undefined && !scopes.test(scope)) throw refuse('invalid_scope', 'scope is malformed.');
  return { requestedType, scoped: scope !== undefined };
}

function readTarget(form: ReadonlyMap<string, string>): string {
  const resource = form.get('resource');
  const audience = form.get('audience');
  if (resource !== undefined && audience !== undefined) throw target('Name one target.');
  const named = resource ?? audience;
  if (named === undefined) throw target('Name the target by resource or audience.');
  // RFC 8707 section 2 has resource absolute and without a fragment; a credential's name does for either.
  if (!isCredentialName(named) && !isAbsoluteUri(named))
    throw target('The target is a credential by its name, or an absolute URI without a fragment.');
  return named;
}

const invalid = (reason: string, detail: string) => oauthRefusal('invalid_request', reason, detail);
const refuse = (error: OAuthError, detail: string) => oauthRefusal(error, error, detail);
const target = (detail: string) => refuse('invalid_target', detail);
