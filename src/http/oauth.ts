import type { TokenExchange, TokenType } from '../credentials/kind.ts';
import { Refusal } from '../lib/refusal.ts';
import { publicJson } from './discovery.ts';
import { answer, type Exchange } from './exchange.ts';
import { oauthRefusal } from './oauth-error.ts';
import { type ExchangeForm, readExchange, tokenExchange } from './oauth-form.ts';
import { readForm } from './request-body.ts';

/**
 * `POST /oauth/token` (RFC 8693): an issuance like any other, of a credential that is a token. The form has the workload
 * token, so it is read first; whatever it names, a caller learns nothing of the target before the broker has verified and
 * decided, and of one it may not have, nothing then.
 */
export async function exchangeToken(exchange: Exchange): Promise<Response> {
  const { broker, limits, targets } = exchange.house.deployment;
  if (exchange.c.req.raw.headers.has('authorization'))
    throw oauthRefusal('invalid_request', 'client_authorization', 'Send no Authorization header here.');
  const form = readExchange(await readForm(exchange, limits.tokenBytes + limits.bodyBytes));
  // What is not there is asked for as well, and is denied as what is not granted: recorded, in the same time.
  const target = targets.get(form.target) ?? { credential: form.target };
  const type = issuedType(form, target.exchange);
  const { request, trace, address, deadline } = exchange;
  const issued = await broker.issue({
    token: form.subjectToken,
    request,
    trace,
    address,
    deadline,
    credential: target.credential,
    options: async () => {
      if (type === undefined) throw new Refusal('denied', 'not_a_token');
      return {};
    },
  });
  exchange.facts.credential = issued.credential;
  exchange.facts.kind = issued.kind;
  exchange.facts.issuance = issued.id;
  const body = {
    access_token: issued.data?.[target.exchange?.member ?? ''],
    issued_token_type: type,
    token_type: 'Bearer',
    expires_in: issued.lease.ttl,
    // No kind gives scopes, and a client that asked for some must be told (RFC 8693 section 2.2.1).
    ...(form.scoped && { scope: '' }),
    hallpass_id: issued.id,
    hallpass_receipt: issued.receipt,
  };
  return answer(exchange, 200, JSON.stringify(body), { 'content-type': 'application/json', pragma: 'no-cache' });
}

/** What the token is issued as; undefined where the target is no token, or not one of the type that is asked for. */
function issuedType({ requestedType }: ExchangeForm, exchange: TokenExchange | undefined): TokenType | undefined {
  return exchange?.types.find((type) => requestedType === undefined || type === requestedType);
}

/** `/.well-known/oauth-authorization-server` (RFC 8414). Nobody is sent anywhere, so there are no response types. */
export function showAuthorizationServer(exchange: Exchange): Response {
  const { url } = exchange.house.deployment;
  const document = {
    issuer: url,
    token_endpoint: `${url}/oauth/token`,
    response_types_supported: [],
    grant_types_supported: [tokenExchange],
    token_endpoint_auth_methods_supported: ['none'],
  };
  return answer(exchange, 200, JSON.stringify(document), publicJson);
}
