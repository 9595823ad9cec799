import type { Deadline } from '../../lib/deadline.ts';
import type { Session, SessionDeps } from '../session.ts';
import { askToken } from './token.ts';

export interface Exchange {
  readonly tenant: string;
  readonly client: string;
  /** `https://login.microsoftonline.com` */
  readonly authority: string;
  /** Whom the token is for. */
  readonly resource: string;
}

/**
 * Entra's token for an app registration that trusts the assertion's issuer and subject (client credentials with a
 * federated assertion, RFC 7523 section 2.2). @throws UpstreamError
 */
export function exchangeAssertion(
  { tenant, client, authority, resource }: Exchange,
  assertion: string,
  deps: Pick<SessionDeps, 'fetch' | 'now' | 'step'>,
  deadline: Deadline,
): Promise<Session<string>> {
  const step = 'exchange';
  deps.step?.(step);
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: client,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
    scope: `${resource}/.default`,
  });
  const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
  const init = { method: 'POST', headers, body: form.toString() };
  return askToken(deps, `${authority}/${tenant}/oauth2/v2.0/token`, init, { step, deadline });
}
