import type { LockdownAsked } from '../broker.ts';
import { Refusal } from '../lib/refusal.ts';
import * as s from '../lib/schema/index.ts';
import { isSegmentPattern } from '../lib/segments.ts';
import { parseDuration, parseInstant } from '../lib/time.ts';
import { isUlid } from '../lib/ulid.ts';
import { answerJson, callOf, type Exchange, malformed } from './exchange.ts';
import { readBody } from './request-body.ts';
import { checked, duration, printable } from './schemas.ts';

/** Of a SPIFFE id alone there may be 2,048 characters, and its issuer's name stands before it. */
const mostName = 4096;
const name = printable(128).check(s.minLength(1));

const match = s.strictObject({
  issuer: s.optional(name),
  identity: s.optional(
    printable(mostName).check(
      s.minLength(1),
      s.refine((text) => isSegmentPattern(text.replace(/^\*(?=[:/])/, 'any')), '* stands for one whole segment'),
    ),
  ),
  grant: s.optional(name),
  role: s.optional(name),
  credential: s.optional(name),
  store: s.optional(name),
});

const reason = printable(256).check(s.minLength(1));

/** The body of `POST /v1/lockdowns`. */
export const lockdownBody = s.strictObject({
  match: s.optional(match),
  everything: s.optional(s.literal(true)),
  reason,
  until: s.optional(s.string().check(s.refine((text) => parseInstant(text) !== undefined, 'RFC 3339 with Z'))),
  for: s.optional(duration),
  since: s.optional(duration),
  revoke: s.optional(s.boolean()),
  force: s.optional(s.boolean()),
  dryRun: s.optional(s.boolean()),
});

/** The body of `DELETE /v1/lockdowns/{id}`. */
export const liftBody = s.strictObject({ reason: s.optional(reason) });

/** The body of `POST /v1/lockdowns/{id}/revoke`. */
export const revokeLockedBody = s.strictObject({
  since: s.optional(duration),
  cursor: s.optional(s.string().check(s.regex(/^[0-9.]{1,24}$/))),
});

/** `POST /v1/lockdowns` */
export async function addLockdown(exchange: Exchange): Promise<Response> {
  const { broker } = exchange.house.deployment;
  const answer = await broker.addLockdown({ ...callOf(exchange), asked: async () => asked(await body(exchange)) });
  if (answer.index !== undefined) exchange.facts.index = answer.index;
  return answerJson(exchange, answer, answer.lockdown === undefined ? 200 : 201);
}

/** `GET /v1/lockdowns` */
export async function listLockdowns(exchange: Exchange): Promise<Response> {
  const { broker } = exchange.house.deployment;
  return answerJson(exchange, {
    items: await broker.listLockdowns(callOf(exchange), exchange.query.all !== undefined),
  });
}

/** `DELETE /v1/lockdowns/{id}` */
export async function liftLockdown(exchange: Exchange): Promise<Response> {
  const { broker } = exchange.house.deployment;
  const id = idOf(exchange);
  return answerJson(
    exchange,
    await broker.liftLockdown({
      ...callOf(exchange),
      id,
      asked: async () => {
        const bytes = await body(exchange);
        return bytes === undefined ? {} : withoutAbsent(checked(liftBody, bytes));
      },
    }),
  );
}

/** `POST /v1/lockdowns/{id}/revoke`: as much as there is time for. */
export async function revokeLocked(exchange: Exchange): Promise<Response> {
  const { broker } = exchange.house.deployment;
  const id = idOf(exchange);
  const revoked = await broker.revokeLocked({
    ...callOf(exchange),
    id,
    asked: async () => {
      const bytes = await body(exchange);
      const { since, cursor } = bytes === undefined ? {} : checked(revokeLockedBody, bytes);
      return { ...(since !== undefined && { since: seconds(since) }), ...(cursor !== undefined && { cursor }) };
    },
  });
  exchange.facts.count = revoked.items.length;
  return answerJson(exchange, revoked);
}

function asked(bytes: Uint8Array | undefined): LockdownAsked {
  if (bytes === undefined) throw malformed('body_missing', 'Say what to stop, and why.', hint);
  const { match: named = {}, everything, until, since, for: life, ...rest } = checked(lockdownBody, bytes);
  const members = Object.keys(named).length;
  if (members === 0 && everything === undefined)
    throw malformed('match_missing', 'Nothing is named that the lockdown is to stop.', hint);
  if (members > 0 && everything !== undefined)
    throw malformed('match_and_everything', 'The lockdown is to stop everything, and names something.', hint);
  if (until !== undefined && life !== undefined)
    throw malformed('until_and_for', 'Say until when, or for how long, not both.');
  return {
    ...withoutAbsent(rest),
    reason: rest.reason,
    match: withoutAbsent(named),
    ...(until !== undefined && { until }),
    ...(life !== undefined && { for: seconds(life) }),
    ...(since !== undefined && { since: seconds(since) }),
  };
}

const hint =
  'Name at least one of issuer, identity, grant, role, credential and store in match (all that are named must fit), or say "everything": true.';

const seconds = (text: string): number => parseDuration(text) as number;

type Present<T> = { [member in keyof T]: Exclude<T[member], undefined> };

const withoutAbsent = <T extends object>(value: T): Present<T> =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Present<T>;

const body = (exchange: Exchange) => readBody(exchange, exchange.house.deployment.limits.bodyBytes);

function idOf({ c }: Exchange): string {
  const id = c.req.param('id');
  if (!isUlid(id)) throw new Refusal('not_found', 'no_lockdown_id');
  return id;
}
