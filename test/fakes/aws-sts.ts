import { randomBytes } from 'node:crypto';
import { isJsonObject, type JsonObject, parseStrictJsonObject } from '../../src/lib/strict-json.ts';
import { type KnownCredentials, type SignatureFault, signatureFault } from './aws-sigv4.ts';
import { checkToken, type TokenFault, type Trust } from './federation.ts';
import type { FakeAnswer, FakeCall } from './server.ts';

/** A role and whom it trusts. */
export interface Role extends Trust {
  readonly role: string;
  /** Access key ids that may assume it by a session of their own. */
  readonly principals?: readonly string[];
  /** Its longest session, seconds; default an hour, as in AWS. */
  readonly maxSeconds?: number;
  /** Trusts no session without one of its own: `sts:SourceIdentity` in the trust policy. */
  readonly needsSource?: boolean;
  /** Lets nobody tag the session. */
  readonly untagged?: boolean;
}

/** A role that was assumed. */
export interface Assumed {
  readonly role: string;
  readonly name: string;
  readonly seconds: number;
  /** Of the token that was shown; empty where a session assumed it. */
  readonly claims: JsonObject;
  readonly tags: Readonly<Record<string, string>>;
  readonly source?: string | undefined;
  readonly policy?: string | undefined;
  readonly policyArns: readonly string[];
  readonly accessKeyId: string;
}

export interface FakeSts {
  /** Every session it gave, by access key id; one may be ended by moving its `until`. */
  readonly sessions: Map<string, KnownCredentials>;
  readonly assumed: Assumed[];
  answer(call: FakeCall): Promise<FakeAnswer>;
}

const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/';
const headers = { 'content-type': 'text/xml' };

/** As AWS words a refusal of its query API. */
export const refusal = (status: number, code: string, message = 'canary: said by the other side'): FakeAnswer => ({
  status,
  headers,
  body: `<ErrorResponse xmlns="${namespace}"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>0</RequestId></ErrorResponse>`,
});

const refusals: Readonly<Record<TokenFault, readonly [number, string]>> = {
  not_a_token: [400, 'InvalidIdentityToken'],
  untrusted: [403, 'AccessDenied'],
  expired: [400, 'ExpiredTokenException'],
  algorithm: [400, 'InvalidIdentityToken'],
  unknown_key: [400, 'InvalidIdentityToken'],
  signature: [400, 'InvalidIdentityToken'],
};

const signatures: Readonly<Record<SignatureFault, readonly [number, string]>> = {
  unsigned: [403, 'MissingAuthenticationToken'],
  unknown_key: [403, 'InvalidClientTokenId'],
  expired_session: [403, 'ExpiredToken'],
  skew: [403, 'RequestExpired'],
  signature: [403, 'SignatureDoesNotMatch'],
};

class No extends Error {
  constructor(readonly answer: FakeAnswer) {
    super('refused');
  }
}

const no = (status: number, code: string, message?: string) => new No(refusal(status, code, message));

/** AssumeRoleWithWebIdentity that checks the token for real, and AssumeRole that checks the signature. `now` is its own clock. */
export function makeSts(roles: readonly Role[], now: () => number): FakeSts {
  const sts: FakeSts = { sessions: new Map(), assumed: [], answer };

  async function answer(call: FakeCall): Promise<FakeAnswer> {
    try {
      const form = new URLSearchParams(call.body);
      if (call.method !== 'POST' || call.url.pathname !== '/' || form.get('Version') !== '2011-06-15')
        throw no(400, 'InvalidAction');
      const action = form.get('Action') ?? '';
      const about = whatIsAsked(form);
      const how = action === 'AssumeRole' ? bySession(call, form, about.role) : await byToken(action, form, about.role);
      if (about.seconds > how.longest)
        throw no(400, 'ValidationError', `The requested DurationSeconds exceeds ${how.why}.`);
      return give(action, { ...about, ...how });
    } catch (error) {
      if (error instanceof No) return error.answer;
      throw error;
    }
  }

  async function byToken(action: string, form: URLSearchParams, role: string) {
    if (action !== 'AssumeRoleWithWebIdentity') throw no(400, 'InvalidAction');
    const trusts = roles.filter((known) => known.role === role);
    const checked = await checkToken(form.get('WebIdentityToken') ?? '', trusts, now());
    if ('fault' in checked) throw no(...refusals[checked.fault]);
    const { claims } = checked;
    const trust = trusts.find(({ subject }) => subject === claims.sub) as Role;
    const marks = { tags: tagsOf(claims), source: sourceOf(claims['https://aws.amazon.com/source_identity']) };
    return { claims, ...marks, ...limitsOf(trust, marks) };
  }

  function bySession(call: FakeCall, form: URLSearchParams, role: string) {
    const fault = signatureFault(call, sts.sessions, now());
    if (fault !== undefined) throw no(...signatures[fault]);
    const by = /Credential=(\w+)\//.exec(call.headers.authorization ?? '')?.[1] ?? '';
    const trust = roles.find((known) => known.role === role && known.principals?.includes(by));
    if (trust === undefined) throw no(403, 'AccessDenied', 'canary is not authorized to perform: sts:AssumeRole');
    const tags: Record<string, string> = {};
    for (let at = 1; form.has(`Tags.member.${at}.Key`); at++)
      tags[form.get(`Tags.member.${at}.Key`) as string] = form.get(`Tags.member.${at}.Value`) ?? '';
    const marks = { tags: checkTags(tags), source: sourceOf(form.get('SourceIdentity') ?? undefined) };
    const { longest, why } = limitsOf(trust, marks);
    const chained = { longest: 3600, why: 'the 1 hour session limit for roles assumed by role chaining' };
    return { claims: {}, ...marks, ...(longest > 3600 ? chained : { longest, why }) };
  }

  function give(action: string, asked: Omit<Assumed, 'accessKeyId'>): FakeAnswer {
    const accessKeyId = `ASIA${randomBytes(8).toString('hex').toUpperCase()}`;
    const until = now() + asked.seconds * 1000;
    const made = {
      secretAccessKey: randomBytes(30).toString('base64'),
      sessionToken: randomBytes(90).toString('base64'),
      until,
    };
    sts.sessions.set(accessKeyId, made);
    const { role, name, seconds, claims, tags, source, policy, policyArns } = asked;
    sts.assumed.push({ role, name, seconds, claims, tags, source, policy, policyArns, accessKeyId });
    return { status: 200, headers, body: given(action, accessKeyId, made, asked) };
  }

  return sts;
}

/** What both actions take, checked as AWS does. */
function whatIsAsked(form: URLSearchParams) {
  const role = form.get('RoleArn') ?? '';
  const name = form.get('RoleSessionName') ?? '';
  const seconds = Number(form.get('DurationSeconds') ?? 3600);
  if (!/^[\w+=,.@-]{2,64}$/.test(name) || !(seconds >= 900 && seconds <= 43_200)) throw no(400, 'ValidationError');
  const policy = form.get('Policy') ?? undefined;
  if (policy !== undefined && (policy.length > 2048 || policy === '')) throw no(400, 'ValidationError');
  if (policy !== undefined && !isPolicy(policy)) throw no(400, 'MalformedPolicyDocument');
  const policyArns: string[] = [];
  for (let at = 1; form.has(`PolicyArns.member.${at}.arn`); at++)
    policyArns.push(form.get(`PolicyArns.member.${at}.arn`) as string);
  if (policyArns.length > 10) throw no(400, 'ValidationError');
  // How much it packs is AWS's secret; a text that says so is too much for the fake.
  if (policy?.includes('too-much-to-pack')) throw no(400, 'PackedPolicyTooLarge');
  return { role, name, seconds, policy, policyArns };
}

function isPolicy(text: string): boolean {
  try {
    const { Version, Statement } = parseStrictJsonObject(text);
    return (
      Version === '2012-10-17' && Array.isArray(Statement) && Statement.every((one) => isJsonObject(one) && one.Effect)
    );
  } catch {
    return false;
  }
}

function limitsOf({ maxSeconds = 3600, needsSource, untagged }: Role, marks: Pick<Assumed, 'tags' | 'source'>) {
  const lacks = (action: string) =>
    no(403, 'AccessDenied', `canary is not authorized to perform: ${action} on resource`);
  if (untagged && Object.keys(marks.tags).length > 0) throw lacks('sts:TagSession');
  if (needsSource && marks.source === undefined) throw lacks('sts:AssumeRoleWithWebIdentity');
  return { longest: maxSeconds, why: 'the MaxSessionDuration set for this role' };
}

/** `https://aws.amazon.com/tags`: each tag a list of one value. */
function tagsOf(claims: JsonObject): Record<string, string> {
  const said = claims['https://aws.amazon.com/tags'];
  if (said === undefined) return {};
  const { principal_tags: tags, transitive_tag_keys: transitive } = isJsonObject(said) ? said : {};
  if (!isJsonObject(tags) || !Array.isArray(transitive)) throw no(400, 'InvalidIdentityToken');
  const pairs = Object.entries(tags).map(([name, value]) => {
    if (!Array.isArray(value) || value.length !== 1) throw no(400, 'InvalidIdentityToken');
    return [name, String(value[0])] as const;
  });
  return checkTags(Object.fromEntries(pairs));
}

function checkTags(tags: Record<string, string>): Record<string, string> {
  const fits = Object.entries(tags).every(
    ([name, value]) =>
      /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+@-]{1,128}$/iu.test(name) && /^[\p{L}\p{Z}\p{N}_.:/=+@-]{0,256}$/u.test(value),
  );
  if (!fits || Object.keys(tags).length > 50) throw no(400, 'ValidationError');
  return tags;
}

function sourceOf(said: unknown): string | undefined {
  if (said === undefined) return undefined;
  if (typeof said !== 'string' || !/^(?!aws:)[\w+=,.@-]{2,64}$/.test(said)) throw no(400, 'ValidationError');
  return said;
}

function given(
  action: string,
  id: string,
  { secretAccessKey, sessionToken, until }: KnownCredentials,
  { role, name, source }: Pick<Assumed, 'role' | 'name' | 'source'>,
): string {
  const [, partition, , , account] = role.split(':');
  const arn = `arn:${partition}:sts::${account}:assumed-role/${role.split('/').at(-1)}/${name}`;
  const user = `<AssumedRoleUser><Arn>${arn}</Arn><AssumedRoleId>AROAFAKE:${name}</AssumedRoleId></AssumedRoleUser>`;
  const credentials = `<Credentials>
    <AccessKeyId>${id}</AccessKeyId>
    <SecretAccessKey>${secretAccessKey}</SecretAccessKey>
    <SessionToken>${sessionToken}</SessionToken>
    <Expiration>${new Date(until).toISOString().slice(0, 19)}Z</Expiration>
  </Credentials>`;
  const more = source === undefined ? '' : `<SourceIdentity>${source}</SourceIdentity>`;
  return `<${action}Response xmlns="${namespace}"><${action}Result>${user}${credentials}${more}</${action}Result></${action}Response>`;
}
