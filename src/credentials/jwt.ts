import { canonicalJson } from '../lib/canonical-json.ts';
import { durationSchema, resourceSchema } from '../lib/common-schemas.ts';
import type { Fault } from '../lib/fault.ts';
import type { Mint } from '../lib/mint.ts';
import { Refusal } from '../lib/refusal.ts';
import * as s from '../lib/schema/index.ts';
import type { JsonObject } from '../lib/strict-json.ts';
import { parseDuration, parseInstant } from '../lib/time.ts';
import type { KindPlugIn } from './index.ts';
import type { KindDeps, SignedCredential } from './kind.ts';
import {
  parseTemplate,
  percentEncode,
  type Subject,
  type Template,
  templateFaults,
  unfilledPlace,
} from './template.ts';

const text = s.later(() => s.string().check(s.minLength(1), s.maxLength(1024)));

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('jwt'),
    audience: s
      .string()
      .check(s.minLength(1), s.maxLength(255), s.regex(/^[\x21-\x7e]+$/, 'an audience is printable ASCII')),
    subject: s.optional(text),
    claims: s.optional(
      s.record(s.string().check(s.minLength(1), s.maxLength(128)), s.union([text, s.number(), s.boolean()])),
    ),
    ttl: s.optional(durationSchema(30, 86_400)),
    resource: s.optional(resourceSchema),
  }),
);

type JwtConfig = s.infer<typeof schema>;

/** A token of `{broker.url}/workloads`, signed by the ledger's side once its record is durable. */
export const jwt: KindPlugIn = {
  name: 'jwt',
  about: 'A JWT for one audience, signed once its record is durable',
  made: 'signed',
  exchange: {
    types: ['urn:ietf:params:oauth:token-type:jwt', 'urn:ietf:params:oauth:token-type:access_token'],
    member: 'token',
  },
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  check: (config) => findFaults(config as JwtConfig),
  load: async () => ({ open: (config, deps) => open(config as JwtConfig, deps) }),
};

/** Nothing revokes a token, so it lives an hour at most unless the config says otherwise. */
const defaultMaxTtl = 3600;
/** How much older than its record a token may say it is, seconds: the record is written a moment after the decision. */
const longestWait = 60;

/** What Hallpass says of a token itself. */
const reserved: ReadonlySet<string> = new Set(['iss', 'aud', 'sub', 'iat', 'nbf', 'exp', 'jti']);

function open(config: JwtConfig, { workloadsIssuer }: KindDeps): SignedCredential {
  const maxTtl = config.ttl === undefined ? defaultMaxTtl : (parseDuration(config.ttl) as number);
  const subject = config.subject === undefined ? undefined : parseTemplate(config.subject);
  const claims = Object.entries(config.claims ?? {}).map(
    ([name, value]) => [name, typeof value === 'string' ? parseTemplate(value) : value] as const,
  );
  const templates = [subject, ...claims.map(([, value]) => value)].filter(isTemplate);

  function write(about: Subject, iat: number, exp: number, jti: string): Mint {
    const own = claims.map(([name, value]) => [name, isTemplate(value) ? value.fill(about) : value] as const);
    const standard: JsonObject = {
      iss: workloadsIssuer,
      aud: config.audience,
      sub: subject?.fill(about) ?? `${about.issuer}:${percentEncode(about.subject)}`,
      iat,
      nbf: iat,
      exp,
      jti,
    };
    return { use: 'jwt', alg: 'ES256', claims: { ...Object.fromEntries(own), ...standard } };
  }

  return {
    made: 'signed',
    maxTtl,
    needs: [...new Set(templates.flatMap((template) => template.claims))],
    unfilled: (identity) => unfilledPlace(templates, identity),
    draft: ({ identity, id, now, expiresAt }) => ({
      mint: write(identity, Math.floor(now / 1000), Math.floor(expiresAt / 1000), id),
      finish: (token) => ({ data: { token, tokenType: 'Bearer' } }),
    }),
    check(mint, { issuance, identity, lease, time }) {
      const exp = Math.floor((parseInstant(lease.expiresAt) ?? Number.NaN) / 1000);
      const iat = exp - lease.ttl;
      const age = Math.floor(time / 1000) - iat;
      const timely =
        Number.isSafeInteger(iat) && lease.ttl > 0 && lease.ttl <= maxTtl && age >= 0 && age <= longestWait;
      if (!timely || !isSame(mint, write(identity, iat, exp, issuance))) throw new Refusal('denied', 'mint');
    },
  };
}

const isTemplate = (value: unknown): value is Template =>
  typeof value === 'object' && value !== null && 'fill' in value;

const isSame = (a: Mint, b: Mint): boolean => canonicalJson({ ...a }) === canonicalJson({ ...b });

function findFaults(config: JwtConfig): Fault[] {
  const faults: Fault[] = [];
  if (config.subject !== undefined) faults.push(...templateFaults(config.subject, ['subject']));
  for (const [name, value] of Object.entries(config.claims ?? {})) {
    if (reserved.has(name)) faults.push({ path: ['claims', name], message: `${name} is set by Hallpass` });
    if (typeof value === 'string') faults.push(...templateFaults(value, ['claims', name]));
  }
  return faults;
}
