import { UpstreamError } from '../../lib/upstream.ts';
import { keepSession, type SessionDeps, type SessionKeeper } from '../session.ts';
import { type AmbientLogin, loginAmbient } from './ambient.ts';
import { exchangeAssertion } from './exchange.ts';

/** How to get an access token for `resource`: by our own assertion where `tenant` and `client` are named, else ambient. */
export interface AzureLogin extends AmbientLogin {
  readonly tenant?: string | undefined;
  readonly client?: string | undefined;
}

/** Keeps an access token of Azure. Client secrets and certificates are never taken, not from the environment either. */
export function keepAzureSession(login: AzureLogin, deps: SessionDeps): SessionKeeper<string> {
  const { tenant, client, authority = 'https://login.microsoftonline.com', resource } = login;
  if (tenant === undefined || client === undefined)
    return keepSession((deadline) => loginAmbient(login, deps, deadline), deps.now);
  return keepSession(async (deadline) => {
    deps.step?.('assertion');
    if (deps.assert === undefined) throw new UpstreamError('denied', { step: 'assertion', reason: 'nobody_signs' });
    const assertion = await deps.assert(deadline);
    return exchangeAssertion({ tenant, client, authority, resource }, assertion, deps, deadline);
  }, deps.now);
}
