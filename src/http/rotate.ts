import { Refusal } from '../lib/refusal.ts';
import * as s from '../lib/schema/index.ts';
import { answerJson, callOf, type Exchange } from './exchange.ts';
import { readBody } from './request-body.ts';
import { checked, isCredentialName } from './schemas.ts';

/** The body of `POST /v1/credentials/{name}/rotate`. */
export const rotateBody = s.strictObject({ force: s.optional(s.boolean()) });

/** `POST /v1/credentials/{name}/rotate` */
export async function rotateCredential(exchange: Exchange): Promise<Response> {
  const { request, trace } = exchange;
  const { deployment } = exchange.house;
  await deployment.broker.permit(callOf(exchange), 'secrets:rotate');
  const bytes = await readBody(exchange, deployment.limits.bodyBytes);
  const { force = false } = bytes === undefined ? {} : checked(rotateBody, bytes);
  const credential = exchange.c.req.param('name');
  if (!isCredentialName(credential))
    throw new Refusal('not_found', 'no_rotator', { detail: 'No credential of this name is rotated.' });
  exchange.facts.credential = credential;
  const report = await deployment.rotate(credential, exchange.deadline, { force, request, trace });
  return answerJson(exchange, report);
}
