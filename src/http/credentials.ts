import type { IssueOptions } from '../broker.ts';
import { Refusal } from '../lib/refusal.ts';
import { isUlid } from '../lib/ulid.ts';
import { answer, answerJson, callOf, type Exchange, malformed } from './exchange.ts';
import { readBody } from './request-body.ts';
import { checked, emptyBody, isCredentialName, issueOptions } from './schemas.ts';

/** `POST /v1/credentials/{name}` */
export async function issueCredential(exchange: Exchange): Promise<Response> {
  const credential = nameOf(exchange);
  const { broker, limits } = exchange.house.deployment;
  let read: Promise<IssueOptions> | undefined;
  const { token, request, trace, address, deadline } = callOf(exchange);
  // Named, not spread: on this path a spread costs as much as all the rest of the handler.
  const issued = await broker.issue({
    token,
    request,
    trace,
    address,
    deadline,
    credential,
    // A broker that decides twice asks twice, and a body can be read once.
    options: () => {
      read ??= readBody(exchange, limits.bodyBytes).then(issueOptions);
      return read;
    },
  });
  exchange.facts.credential = credential;
  exchange.facts.kind = issued.kind;
  exchange.facts.issuance = issued.id;
  return answerJson(exchange, issued);
}

/** `DELETE /v1/leases/{id}` */
export async function revokeLease(exchange: Exchange): Promise<Response> {
  const id = exchange.c.req.param('id');
  if (!isUlid(id)) throw new Refusal('not_found', 'no_lease_id');
  const outcome = await exchange.house.deployment.broker.revoke({ ...callOf(exchange), id });
  exchange.facts.issuance = id;
  return answer(exchange, outcome === 'done' ? 204 : 202, null);
}

/** `POST /v1/explain/{name}` */
export async function explainDecision(exchange: Exchange): Promise<Response> {
  const { broker, explain, limits } = exchange.house.deployment;
  if (explain === 'off') throw new Refusal('not_found', 'explain_off');
  const credential = nameOf(exchange);
  const explanation = await broker.explain({ ...callOf(exchange), credential, values: explain === 'values' });
  const body = await readBody(exchange, limits.bodyBytes);
  if (body !== undefined) checked(emptyBody, body);
  return answerJson(exchange, explanation);
}

// A name no config can hold is not passed on: it would end up in a record, which holds no free text from outside.
function nameOf(exchange: Exchange): string {
  const name = exchange.c.req.param('name');
  if (!isCredentialName(name))
    throw malformed('credential_name', "A credential's name has letters, digits, dot, dash and underscore.");
  return name;
}
