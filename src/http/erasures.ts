import type { ErasureAsked, ErasurePlace } from '../broker.ts';
import type { Identity } from '../lib/identity.ts';
import * as s from '../lib/schema/index.ts';
import { parseInstant } from '../lib/time.ts';
import { type CursorOf, makeCursor, readCursor } from './cursor.ts';
import { answerJson, callOf, type Exchange, ledgerTime, malformed } from './exchange.ts';
import { readBody } from './request-body.ts';
import { checked, printable } from './schemas.ts';

const instant = s.string().check(s.refine((text) => parseInstant(text) !== undefined, 'RFC 3339 with Z'));

/** The body of `POST /v1/erasures`. */
export const erasureBody = s.strictObject({
  /** `identity.name`; `*` within a segment, never in the issuer's. */
  identity: printable(4096).check(s.regex(/^[^*:]+:./, 'an identity, such as ci:acme/shop@main')),
  issuer: s.optional(printable(128).check(s.minLength(1))),
  before: s.optional(instant),
  reason: printable(256).check(s.minLength(1)),
  dryRun: s.optional(s.boolean()),
  cursor: s.optional(s.string().check(s.regex(/^[A-Za-z0-9_-]{1,4096}$/))),
});

/** `POST /v1/erasures`: erases what is disclosed of one data subject; one call of as many as it takes. */
export async function eraseDisclosures(exchange: Exchange): Promise<Response> {
  const { deployment, platform } = exchange.house;
  const run: { of?: CursorOf; dryRun?: true } = {};
  const key = await deployment.cursorKey(ledgerTime(exchange));

  /** A cursor that we gave this caller for this very run within the hour; any other begins nothing. */
  function placeOf(of: CursorOf, cursor: string | undefined): ErasurePlace | undefined {
    if (cursor === undefined) return undefined;
    const read = readCursor(key, of, cursor, platform.now());
    const [shard, position] = read?.at ?? [];
    if (read?.recorded !== true || shard === undefined || position === undefined)
      throw malformed('cursor', 'The cursor is not one of this run, or too old.', 'Begin again without a cursor.');
    return { shard, position };
  }

  async function asked({ issuer, iss, subject }: Identity): Promise<ErasureAsked> {
    const bytes = await readBody(exchange, deployment.limits.bodyBytes);
    if (bytes === undefined) throw malformed('body_missing', 'Say whose: {"identity": "...", "reason": "..."}.');
    const { cursor, before, ...body } = checked(erasureBody, bytes);
    const query = { erase: JSON.stringify([body.identity, body.issuer, before, body.dryRun === true]) };
    const of = { query, who: [issuer, iss, subject] };
    Object.assign(run, { of, ...(body.dryRun === true && { dryRun: true }) });
    return {
      ...body,
      ...(before !== undefined && { before: parseInstant(before) as number }),
      place: placeOf(of, cursor),
    };
  }

  const { next, ...report } = await deployment.broker.erase({ ...callOf(exchange), asked });
  exchange.facts.count = report.erased;
  const since = Math.floor(platform.now() / 1000);
  return answerJson(exchange, {
    ...report,
    ...(run.dryRun === true && { dryRun: true }),
    ...(next !== undefined &&
      run.of !== undefined && { next: makeCursor(key, run.of, { at: [next.shard, next.position], since }) }),
  });
}
