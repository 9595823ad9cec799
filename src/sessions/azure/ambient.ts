import type { Deadline } from '../../lib/deadline.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { urlFault } from '../../lib/url.ts';
import { readProjectedToken } from '../projected-token.ts';
import type { Session, SessionDeps } from '../session.ts';
import { exchangeAssertion } from './exchange.ts';
import { askToken } from './token.ts';

/** Which identity of the platform is meant, and for what its token is. */
export interface AmbientLogin {
  readonly resource: string;
  /** `system`, or a client id; absent: the one the platform names. */
  readonly identity?: string | undefined;
  /** Where a workload identity's token is exchanged; absent: where the platform says, else the public cloud. */
  readonly authority?: string | undefined;
}

const step = 'login';
const refuse = (reason: string) => new UpstreamError('denied', { step, reason });

/**
 * A token of the identity that the platform gives: a managed identity of App Service, Functions or Container Apps, a
 * workload identity of AKS, or that of a virtual machine. The last has an address but no sign in the environment: it is
 * asked only where the config names an identity, or the environment says where it is.
 *
 * @throws UpstreamError `no_ambient_identity` where there is none
 */
export async function loginAmbient(
  login: AmbientLogin,
  deps: SessionDeps,
  deadline: Deadline,
): Promise<Session<string>> {
  deps.step?.(step);
  const { env } = deps;
  const { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: header } = env;
  if (endpoint && header) {
    // Service Fabric's has a certificate of its own, which nothing here could check.
    if (env.IDENTITY_SERVER_THUMBPRINT) throw refuse('unsupported_platform');
    return askPlatform(endpoint, '2019-08-01', { 'X-IDENTITY-HEADER': header }, login, deps, deadline);
  }
  if (login.identity !== 'system' && env.AZURE_FEDERATED_TOKEN_FILE && env.AZURE_TENANT_ID)
    return loginWorkload(env.AZURE_FEDERATED_TOKEN_FILE, env.AZURE_TENANT_ID, login, deps, deadline);
  const host = env.AZURE_POD_IDENTITY_AUTHORITY_HOST;
  if (!host && login.identity === undefined) throw refuse('no_ambient_identity');
  const metadata = `${withoutSlash(host || 'http://169.254.169.254')}/metadata/identity/oauth2/token`;
  return askPlatform(metadata, '2018-02-01', { Metadata: 'true' }, login, deps, deadline);
}

async function askPlatform(
  endpoint: string,
  version: string,
  headers: Record<string, string>,
  { resource, identity }: AmbientLogin,
  deps: SessionDeps,
  deadline: Deadline,
): Promise<Session<string>> {
  if (!URL.canParse(endpoint)) throw refuse('bad_variable');
  const url = new URL(endpoint);
  url.searchParams.set('api-version', version);
  url.searchParams.set('resource', resource);
  if (identity !== undefined && identity !== 'system') url.searchParams.set('client_id', identity);
  return askToken(deps, url.href, { headers: { ...headers, accept: 'application/json' } }, { step, deadline });
}

/** AKS puts a token of the pod's service account into a file; Entra trusts the cluster for it. */
async function loginWorkload(
  file: string,
  tenant: string,
  { resource, identity, authority }: AmbientLogin,
  deps: SessionDeps,
  deadline: Deadline,
): Promise<Session<string>> {
  const client = identity ?? deps.env.AZURE_CLIENT_ID;
  const at = authority ?? withoutSlash(deps.env.AZURE_AUTHORITY_HOST || 'https://login.microsoftonline.com');
  const fine = /^[\w.-]{1,127}$/.test(tenant) && urlFault(at) === undefined;
  if (client === undefined || !fine) throw refuse('bad_variable');
  const { value } = await readProjectedToken(file, deps);
  return exchangeAssertion({ tenant, client, authority: at, resource }, value, deps, deadline);
}

const withoutSlash = (url: string): string => url.replace(/\/$/, '');
