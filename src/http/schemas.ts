import { readSealKey } from '../broker/seal-key.ts';
import type { IssueOptions } from '../broker.ts';
import type { Refusal } from '../lib/refusal.ts';
import * as s from '../lib/schema/index.ts';
import { JsonError, type JsonObject, parseStrictJsonObject } from '../lib/strict-json.ts';
import { parseDuration, parseInstant } from '../lib/time.ts';
import { malformed } from './exchange.ts';
import { hintOf, isMissing } from './member-hints.ts';

const shortest = 30;
// The second brings Unicode's tables along, and most texts pass the first.
const isPrintable = (text: string): boolean => /^[ -~]*$/.test(text) || !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text);

export const printable = (maximum: number) =>
  s.string().check(s.maxLength(maximum), s.refine(isPrintable, 'no control characters'));

const credentialPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export const isCredentialName = (text: unknown): text is string =>
  typeof text === 'string' && credentialPattern.test(text);

export const credentialName = s.later(() => s.string().check(s.regex(credentialPattern)));
export const recordId = s.later(() => s.string().check(s.regex(/^[0-7][0-9a-hjkmnp-tv-z]{25}$/)));

const coordinate = () => s.string().check(s.regex(/^[A-Za-z0-9_-]{43}$/));

/** A public JWK to encrypt to: what a member beside the point says must be so, and what is private is refused as unknown. */
const sealTo = s.later(() =>
  s
    .strictObject({
      kty: s.literal('EC'),
      crv: s.literal('P-256'),
      x: coordinate(),
      y: coordinate(),
      kid: s.optional(printable(256)),
      use: s.optional(s.literal('enc')),
      alg: s.optional(s.literal('ECDH-ES+A256KW')),
    })
    .check(s.refine(({ x, y }) => readSealKey(x, y) !== undefined, 'a point on the curve')),
);

/** What only a private or a symmetric JWK has (RFC 7518 sections 6.2.2, 6.3.2 and 6.4). */
const secretMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
const otherMembers = ['key_ops', 'ext', 'n', 'e', 'x5u', 'x5c', 'x5t', 'x5t#S256'];

const key = () => s.string().check(s.minLength(1), s.maxLength(12_288));

const wantedDuration = 'a duration such as 15m or 2h, of at least 30s';

export const duration = s.later(() =>
  s.string(wantedDuration).check(
    s.regex(/^[1-9][0-9]{0,8}[smhd]$/, wantedDuration),
    s.refine((text) => (parseDuration(text) ?? 0) >= shortest, wantedDuration),
  ),
);

const asked = () => ({
  ttl: s.optional(duration),
  reason: s.optional(printable(256)),
  invocation: s.optional(
    s.strictObject({
      id: s.optional(printable(256)),
      deadline: s.optional(s.string().check(s.refine((text) => parseInstant(text) !== undefined, 'RFC 3339 with Z'))),
    }),
  ),
  sealTo: s.optional(sealTo),
  csr: s.optional(key()),
  publicKey: s.optional(key()),
});

/** The body of `POST /v1/credentials/{name}`. Members of other shapes are refused, never ignored. */
export const issueBody = s.later(() => s.strictObject(asked()));

/** How many credentials one call may ask for. */
const mostNames = 16;

/** The body of `POST /v1/credentials`. */
export const batchBody = s.later(() =>
  s.strictObject({
    ...asked(),
    names: s.array(credentialName).check(
      s.minLength(1),
      s.maxLength(mostNames),
      s.refine((names) => new Set(names).size === names.length, 'each name once'),
    ),
  }),
);

/** The body of `POST /v1/leases/{id}/renew`. */
export const renewBody = s.later(() => s.strictObject({ ttl: s.optional(duration) }));

/** The body of `POST /v1/explain/{name}`: none, or an empty object. */
export const emptyBody = s.later(() => s.strictObject({}));

const index = () => s.string().check(s.regex(/^[0-9]{1,15}$/));

export const pendingQuery = s.later(() =>
  s.strictObject({
    state: s.enum(['open', 'expired', 'unrevoked']),
    after: s.optional(index()),
  }),
);

export const lockdownsQuery = s.later(() => s.strictObject({ all: s.optional(s.literal('true')) }));

/** Of `GET /v1/log/succession`: the name of the first log of its line, and the generation after which. */
export const successionQuery = s.later(() =>
  s.strictObject({
    log: s.optional(s.string().check(s.regex(/^[\x21-\x7e]{1,255}$/))),
    after: s.string().check(s.regex(/^(0|[1-9][0-9]{0,8})$/)),
  }),
);

/** Of `GET /v1/log/follow`: which log, from which position on, and under which name the follower is known. */
export const followQuery = s.later(() => {
  const count = s.string().check(s.regex(/^(0|[1-9][0-9]{0,14})$/));
  return s.strictObject({
    log: s.optional(s.string().check(s.regex(/^[\x21-\x7e]{1,255}$/))),
    after: count,
    name: s.string().check(s.regex(/^[a-z0-9][a-z0-9-]{0,62}$/)),
    /** Of one that was promised something: which log and root its tree has, which database it is, what it has heard. */
    generation: s.optional(count),
    root: s.optional(s.string().check(s.regex(/^[A-Za-z0-9+/]{43}=$/))),
    instance: s.optional(s.string().check(s.regex(/^[0-9a-z]{26}$/))),
    heard: s.optional(count),
    /** It has taken over, by beginning the log of this generation. */
    promoted: s.optional(count),
  });
});

/** Of `POST /v1/log/succession`. */
export const claimBody = s.later(() =>
  s.strictObject({ checkpoint: s.string().check(s.minLength(1), s.maxLength(8192)) }),
);

/** Of `POST /v1/log/roll`. */
export const rollBody = s.later(() => s.strictObject({ generation: s.optional(s.int().check(s.minimum(1))) }));

export const leasesQuery = s.later(() =>
  s.strictObject({ state: s.literal('unrevoked'), cursor: s.optional(index()) }),
);

export function issueOptions(bytes: Uint8Array | undefined): IssueOptions {
  if (bytes === undefined) return {};
  return optionsIn(checked(issueBody, bytes));
}

export function batchOptions(bytes: Uint8Array | undefined) {
  if (bytes === undefined) throw malformed('body_missing', 'Say which credentials: {"names": ["..."]}.');
  const { names, ...body } = checked(batchBody, bytes);
  return { names, options: optionsIn(body) };
}

export const renewOptions = (bytes: Uint8Array | undefined): IssueOptions =>
  bytes === undefined ? {} : optionsIn(checked(renewBody, bytes));

function optionsIn(body: s.infer<typeof issueBody>): IssueOptions {
  return {
    ...(body.ttl !== undefined && { ttl: parseDuration(body.ttl) as number }),
    ...(body.reason !== undefined && { reason: body.reason }),
    ...(body.invocation !== undefined && { invocation: body.invocation }),
    ...(body.sealTo !== undefined && { sealTo: readSealKey(body.sealTo.x, body.sealTo.y) }),
    ...(body.csr !== undefined && { csr: body.csr }),
    ...(body.publicKey !== undefined && { publicKey: body.publicKey }),
  };
}

/** A JSON body that a schema accepts. The answer names our members, never the caller's. @throws Refusal invalid_request */
export function checked<S extends s.AnyObject>(schema: S, bytes: Uint8Array): s.infer<S> {
  const result = s.safeParse(schema, json(bytes));
  if (result.success) return result.data as s.infer<S>;
  const unknown = result.error.issues.find(({ code, path }) => code === 'unrecognized_keys' && path[0] === 'sealTo');
  if (unknown?.code === 'unrecognized_keys') throw malformedKey(unknown.keys);
  const issue = result.error.issues[0];
  const where = issue?.path.join('.') ?? '';
  if (issue?.code === 'unrecognized_keys') {
    if (where !== '') throw malformed('unknown_member', `The member ${where} has a member that is not known here.`);
    throw malformed('unknown_member', 'The body has a member that is not known here.', known(schema));
  }
  const detail = isMissing(issue) ? `The member ${where} is missing.` : `The member ${where} is not valid.`;
  throw malformed('body_member', where === '' ? 'The body is not what this route takes.' : detail, hintOf(issue));
}

/** Names the members of a JWK that are not taken; a name that no JWK has is the caller's own, and is not repeated. */
function malformedKey(keys: readonly string[]): Refusal {
  const named = [...secretMembers, ...otherMembers].filter((name) => keys.includes(name));
  const rest = named.length === keys.length ? [] : ['a member not known here'];
  const detail = `The member sealTo does not take ${[...named, ...rest].join(', ')}.`;
  if (!keys.some((name) => secretMembers.includes(name))) return malformed('unknown_member', detail, known(sealTo));
  return malformed(
    'private_key',
    detail,
    'A private key was just sent: throw it away. Make a new one, and send its public half: kty, crv, x and y.',
  );
}

const known = (schema: s.AnyObject) => {
  const names = Object.keys(s.shapeOf(schema));
  return names.length === 0 ? 'Send no body.' : `Known members: ${names.join(', ')}.`;
};

function json(bytes: Uint8Array): JsonObject {
  try {
    return parseStrictJsonObject(bytes, 4);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw malformed('body_json', `The body is not strict JSON: ${error.message}.`);
  }
}
