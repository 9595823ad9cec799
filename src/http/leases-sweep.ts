import * as s from '../lib/schema/index.ts';
import { answerJson, callOf, type Exchange } from './exchange.ts';
import { readBody } from './request-body.ts';
import { checked } from './schemas.ts';

/** The body of `POST /v1/leases/sweep`. */
export const sweepBody = s.strictObject({ orphans: s.optional(s.boolean()) });

/** `POST /v1/leases/sweep`: one pass of the sweeper, now. */
export async function sweepLeases(exchange: Exchange): Promise<Response> {
  const { deployment } = exchange.house;
  await deployment.broker.permit(callOf(exchange), 'leases:revoke');
  const bytes = await readBody(exchange, deployment.limits.bodyBytes);
  const { orphans = false } = bytes === undefined ? {} : checked(sweepBody, bytes);
  const report = await deployment.sweep(exchange.deadline, orphans);
  exchange.facts.count = report.undone;
  return answerJson(exchange, report);
}

/** `GET /v1/leases?state=unrevoked`: what ended and is not known to be gone at its target. */
export async function listLeases(exchange: Exchange): Promise<Response> {
  const { deployment } = exchange.house;
  await deployment.broker.permit(callOf(exchange), 'leases:revoke');
  const { cursor } = exchange.query;
  const { items, next } = await deployment.unrevoked(
    exchange.deadline,
    cursor === undefined ? undefined : Number(cursor),
  );
  return answerJson(exchange, { items, ...(next !== undefined && { next: String(next) }) });
}
