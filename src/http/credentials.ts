import type { IssueOptions, LeaseCall } from '../broker.ts';
import { Refusal } from '../lib/refusal.ts';
import { isUlid } from '../lib/ulid.ts';
import { answer, answerJson, callOf, type Exchange, malformed } from './exchange.ts';
import { readBody } from './request-body.ts';
import { batchOptions, checked, emptyBody, isCredentialName, issueOptions, renewOptions } from './schemas.ts';

/** `POST /v1/credentials/{name}` */
export async function issueCredential(exchange: Exchange): Promise<Response> {
  const { broker, limits } = exchange.house.deployment;
  let read: Promise<IssueOptions> | undefined;
  const { token, binding, request, trace, address, deadline } = callOf(exchange);
  const credential = nameOf(exchange);
  // Named, not spread: on this path a spread costs as much as all the rest of the handler.
  const issued = await broker.issue({
    token,
    binding,
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

/** `POST /v1/credentials` */
export async function issueCredentials(exchange: Exchange): Promise<Response> {
  const { broker, limits } = exchange.house.deployment;
  const asked = async () => batchOptions(await readBody(exchange, limits.bodyBytes));
  const credentials = await broker.issueAll({ ...callOf(exchange), asked });
  exchange.facts.count = credentials.length;
  return answerJson(exchange, { credentials });
}

/** `GET /v1/leases/{id}`, or `self`: the lease whose handle is shown. */
export async function showLease(exchange: Exchange): Promise<Response> {
  return answerJson(exchange, await exchange.house.deployment.broker.showLease(leaseCallOf(exchange)));
}

/** `POST /v1/leases/{id}/renew` */
export async function renewLease(exchange: Exchange): Promise<Response> {
  const { broker, limits } = exchange.house.deployment;
  const options = async () => renewOptions(await readBody(exchange, limits.bodyBytes));
  const handle = exchange.c.req.raw.headers.get('hallpass-lease');
  const call = { ...callOf(exchange), id: leaseIdOf(exchange), options, ...(handle !== null && { handle }) };
  return answerJson(exchange, await broker.renewLease(call));
}

/** `DELETE /v1/leases/{id}`, or `self`: the lease whose handle is shown. */
export async function revokeLease(exchange: Exchange): Promise<Response> {
  const outcome = await exchange.house.deployment.broker.revoke(leaseCallOf(exchange));
  return answer(exchange, outcome === 'done' ? 204 : 202, null);
}

/** By its handle, which is as good as the token, or else by the token. */
function leaseCallOf(exchange: Exchange): LeaseCall {
  const { request, trace, address, deadline } = exchange;
  const handle = exchange.c.req.raw.headers.get('hallpass-lease');
  if (handle === null) return { ...callOf(exchange), id: leaseIdOf(exchange) };
  const call = { request, trace, address, deadline, handle };
  return exchange.c.req.param('id') === 'self' ? call : { ...call, id: leaseIdOf(exchange) };
}

function leaseIdOf(exchange: Exchange): string {
  const id = exchange.c.req.param('id');
  if (!isUlid(id)) throw new Refusal('not_found', 'no_lease_id');
  exchange.facts.issuance = id;
  return id;
}

/** `POST /v1/explain/{name}` */
export async function explainDecision(exchange: Exchange): Promise<Response> {
  const { broker, explain, limits } = exchange.house.deployment;
  if (explain === 'off') throw new Refusal('not_found', 'explain_off');
  const call = callOf(exchange);
  const explanation = await broker.explain({ ...call, credential: nameOf(exchange), values: explain === 'values' });
  const body = await readBody(exchange, limits.bodyBytes);
  if (body !== undefined) checked(emptyBody, body);
  return answerJson(exchange, explanation);
}

// A name no config can hold is not passed on: it would end up in a record, which holds no free text from outside.
function nameOf(exchange: Exchange): string {
  const name = exchange.c.req.param('name');
  if (!isCredentialName(name))
    throw malformed(
      'credential_name',
      "A credential's name has letters, digits, dot, dash and underscore, at most 128, and begins with a letter or a digit.",
    );
  return name;
}
