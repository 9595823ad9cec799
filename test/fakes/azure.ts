import { randomBytes } from 'node:crypto';
import { json } from './azure-answers.ts';
import { azureKeys } from './azure-keys.ts';
import { type AzureSecrets, azureSecrets } from './azure-secrets.ts';
import { checkToken, type Trust } from './federation.ts';
import { type FakeAnswer, type FakeCall, type FakeServer, startFake } from './server.ts';

export const tenant = '11111111-1111-1111-1111-111111111111';
export const client = '22222222-2222-2222-2222-222222222222';
/** A user-assigned managed identity. */
export const managed = '33333333-3333-3333-3333-333333333333';
export const identityHeader = 'not-a-real-header';

const bearerAssertion = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** Every member of the form, in order. */
const formMembers = 'client_assertion,client_assertion_type,client_id,grant_type,scope';

/** Whom a token of the fake's is for, unless the vault is said to be elsewhere. */
const vaultResource = 'https://vault.azure.net';

export interface AzureFake {
  /** The vault and the authority: `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly server: FakeServer;
  readonly calls: FakeServer['calls'];
  /** What an operator would do in the vault. */
  readonly secrets: AzureSecrets;
  /** Whom each token it gave is for. */
  readonly tokens: ReadonlyMap<string, string>;
  /** Forgets all tokens it gave: the next call with one is a 401. */
  forgetTokens(): void;
  stop(): Promise<void>;
}

export interface AzureOptions {
  /** Federated credentials of the app registration; they may be changed later. */
  readonly trust?: readonly Trust[];
  /** Whom a token must be for to be taken by the vault. */
  readonly resource?: string;
  /** How long Entra lets a token live, seconds: that is its own business. */
  readonly lifeOf?: () => number;
}

/**
 * Entra's token endpoint, which verifies the assertion for real; the managed identity of App Service and of a virtual
 * machine; a Key Vault with secrets and keys, soft delete included. No roles.
 */
export async function startAzure({
  trust = [],
  resource = vaultResource,
  lifeOf = () => 3599,
}: AzureOptions = {}): Promise<AzureFake> {
  const tokens = new Map<string, string>();
  const give = (audience: string, more: Record<string, unknown>): FakeAnswer => {
    const access_token = randomBytes(24).toString('base64url');
    tokens.set(access_token, audience);
    return json(200, { token_type: 'Bearer', access_token, ...more });
  };

  async function entra({ method, url, headers, body }: FakeCall): Promise<FakeAnswer> {
    const form = new URLSearchParams(body);
    const refuse = (error: string, code: number) =>
      json(401, { error, error_description: `AADSTS${code}: words of Entra`, error_codes: [code] });
    if (method !== 'POST' || headers['content-type'] !== 'application/x-www-form-urlencoded' || url.search !== '')
      return refuse('invalid_request', 900144);
    if (url.pathname.split('/')[1] !== tenant) return refuse('invalid_request', 90002);
    if (form.get('client_id') !== client) return refuse('unauthorized_client', 700016);
    if (form.get('grant_type') !== 'client_credentials') return refuse('unsupported_grant_type', 70003);
    if ([...form.keys()].sort().join() !== formMembers) return refuse('invalid_request', 900144);
    if (form.get('client_assertion_type') !== bearerAssertion) return refuse('invalid_client', 7000216);
    const scope = form.get('scope') ?? '';
    if (!/^[!-~]+\/\.default$/.test(scope)) return refuse('invalid_scope', 1002012);
    const assertion = form.get('client_assertion') ?? '';
    const checked = await checkToken(
      assertion,
      trust.map((one) => ({ ...one, algorithms: ['RS256'] })),
    );
    if ('fault' in checked) return refuse('invalid_client', assertionCodes[checked.fault]);
    const seconds = lifeOf();
    return give(scope.replace(/\/\.default$/, ''), { expires_in: seconds, ext_expires_in: seconds });
  }

  function identity({ url, headers }: FakeCall): FakeAnswer {
    const allowed = url.pathname === '/msi/token' ? headers['x-identity-header'] === identityHeader : headers.metadata;
    const asked = url.searchParams.get('client_id') ?? managed;
    if (!allowed || asked !== managed) return json(400, { error: 'invalid_request', error_description: 'words' });
    const expires_on = String(Math.floor(Date.now() / 1000) + 86_400);
    return give(url.searchParams.get('resource') ?? '', { expires_on, resource: url.searchParams.get('resource') });
  }

  const secrets = azureSecrets(() => server.url);
  const keys = azureKeys(() => server.url);

  function vault(call: FakeCall): FakeAnswer {
    const [scheme, token = ''] = call.headers.authorization?.split(' ') ?? [];
    if (scheme !== 'Bearer' || tokens.get(token) !== resource) {
      const challenge = `Bearer authorization="${server.url}/${tenant}", resource="${resource}"`;
      return json(401, { error: { code: 'Unauthorized', message: 'AKV10022: words' } }, challenge);
    }
    return call.url.pathname.startsWith('/keys/') ? keys(call) : secrets.answer(call);
  }

  const server = await startFake((call) => {
    const { pathname } = call.url;
    if (pathname.endsWith('/oauth2/v2.0/token')) return entra(call);
    if (pathname === '/msi/token' || pathname === '/metadata/identity/oauth2/token') return identity(call);
    return vault(call);
  });

  return {
    url: server.url,
    server,
    calls: server.calls,
    secrets,
    tokens,
    forgetTokens: () => tokens.clear(),
    stop: () => server.close(),
  };
}

const assertionCodes = {
  not_a_token: 50027,
  untrusted: 700213,
  expired: 700024,
  algorithm: 5002738,
  unknown_key: 700027,
  signature: 700027,
};
