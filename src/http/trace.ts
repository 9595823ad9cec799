import type { Deployment } from '../config/deployment.ts';
import { rowOf } from '../ledger/questions/index-row.ts';
import { traceValue as trace } from '../ledger/questions/trace-value.ts';
import { Refusal } from '../lib/refusal.ts';
import * as s from '../lib/schema/index.ts';
import { askFitting } from './answer-size.ts';
import { logsOf, questionTime } from './auditors.ts';
import { answerJsonText, callOf, type Exchange, malformed } from './exchange.ts';
import { itemText } from './items.ts';
import { readBody } from './request-body.ts';
import { checked } from './schemas.ts';
import { type Buckets, openBuckets } from './token-bucket.ts';

/** The body of `POST /v1/trace`. */
export const traceBody = s.strictObject({ value: s.string().check(s.minLength(1), s.maxLength(12_288)) });

/** Traces of one identity by one instance: so many at once, and one more each two seconds. */
const rate = { most: 30, everyMs: 2_000 } as const;
const buckets = new WeakMap<Deployment, Buckets>();

/**
 * `POST /v1/trace`: from what an auditor has in hand to the issuance. The value is in no record, log or answer; that it was
 * asked, and what it was matched as, is a `read` record, a miss too.
 */
export async function traceValue(exchange: Exchange): Promise<Response> {
  const logs = logsOf(exchange);
  const { deployment, platform } = exchange.house;
  const call = callOf(exchange);
  const { identity } = await deployment.broker.permit(call, 'audit:trace');
  const bucket = buckets.get(deployment) ?? openBuckets(rate, platform.now);
  buckets.set(deployment, bucket);
  const wait = bucket.take(JSON.stringify([identity.issuer, identity.iss, identity.subject]));
  if (wait > 0) throw new Refusal('rate_limited', 'traces', { retryAfter: wait / 1000 });

  const bytes = await readBody(exchange, deployment.limits.bodyBytes);
  if (bytes === undefined) throw malformed('body_missing', 'Say what is to be traced: {"value": "..."}.');
  const { value } = checked(traceBody, bytes);
  const found = await trace(logs, value, deployment.fingerprints, questionTime(exchange));
  const { matched, entries, notComparable, indexed, missing } = found;
  const { body, count } = await askFitting(platform.runtime, entries.length, async (most) => {
    const items = entries.slice(0, most).map((entry) => itemText(entry));
    const more = found.more || items.length < entries.length;
    const said = JSON.stringify({
      ...(matched !== undefined && { matched }),
      ...(more && { more }),
      ...(notComparable !== undefined && { notComparable }),
      ...(indexed !== undefined && { indexed }),
      ...(missing !== undefined && { missing }),
    }).slice(1, -1);
    const body = `{"items":[${items.join(',')}]${said === '' ? '' : `,${said}`}}`;
    return { body, count: items.length, of: items };
  });
  const issuance = entries.map((entry) => rowOf(entry).issuance).find((id) => id !== undefined);
  const query = { trace: matched ?? 'nothing', ...(issuance !== undefined && { issuance }) };
  await deployment.broker.recordRead(call, identity, query, count, 'audit:trace');
  return answerJsonText(exchange, body);
}
