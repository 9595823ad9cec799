import { Refusal } from '../lib/refusal.ts';
import { answer, type Exchange, ledgerTime } from './exchange.ts';

type Issuer = '' | '/workloads';
type Jwks = readonly Readonly<Record<string, unknown>>[];

// Short, as a verifier should notice a retired key soon.
export const publicJson = { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' } as const;

export const showBrokerDiscovery = (exchange: Exchange): Promise<Response> => showDiscovery(exchange, '');
export const showWorkloadsDiscovery = (exchange: Exchange): Promise<Response> => showDiscovery(exchange, '/workloads');
export const showBrokerKeys = (exchange: Exchange): Promise<Response> => showKeys(exchange, '');
export const showWorkloadsKeys = (exchange: Exchange): Promise<Response> => showKeys(exchange, '/workloads');

/** `{issuer}/.well-known/openid-configuration` (OpenID Connect Discovery 1.0): what a relying party needs, no more. */
async function showDiscovery(exchange: Exchange, path: Issuer): Promise<Response> {
  const keys = await keysOf(exchange, path);
  const issuer = `${exchange.house.deployment.url}${path}`;
  const document = {
    issuer,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [...new Set(keys.map((key) => key.alg))],
    claims_supported: ['iss', 'sub', 'aud', 'iat', 'nbf', 'exp', 'jti'],
  };
  return answer(exchange, 200, JSON.stringify(document), publicJson);
}

async function showKeys(exchange: Exchange, path: Issuer): Promise<Response> {
  return answer(exchange, 200, JSON.stringify({ keys: await keysOf(exchange, path) }), publicJson);
}

async function keysOf(exchange: Exchange, path: Issuer): Promise<Jwks> {
  const { ledger } = exchange.house.deployment;
  if (path === '/workloads' && ledger.elsewhere !== undefined) {
    throw new Refusal('not_found', 'no_workloads_issuer', { hint: `Ask the ledger: ${ledger.elsewhere}` });
  }
  const { assertions, workloads } = await exchange.house.deployment.keys(ledgerTime(exchange));
  const keys = path === '' ? assertions : workloads;
  if (keys === undefined) throw new Refusal('not_found', 'no_workloads_issuer');
  return keys;
}
