import { fromUtf8 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { callHttp, HttpError } from '../../lib/http-client.ts';
import { fromHttpError, retryAfterOf, UpstreamError } from '../../lib/upstream.ts';
import type { Session, SessionDeps } from '../session.ts';
import { type AwsCredentials, checkSession } from './credentials.ts';
import { refused } from './refusal.ts';
import { endpointOf } from './region.ts';
import { signRequest } from './sign.ts';
import type { AwsMarks } from './terms.ts';

export interface StsAt {
  readonly region: string;
  /** In place of AWS's own for the region. */
  readonly sts?: string | undefined;
}

/** A role to assume, and how. */
export interface Assume extends StsAt {
  /** ARN of the role. */
  readonly role: string;
  /** 2 to 64 of `\w+=,.@-`: what CloudTrail shows beside the role. */
  readonly name: string;
  /** How long the session may last. */
  readonly seconds: number;
  /** JSON of what the session may do at most, beside the role's own rights; ARNs of such policies. */
  readonly policy?: string | undefined;
  readonly policyArns?: readonly string[] | undefined;
}

/** A session of a role; `user` is its own ARN, where the answer says it. */
export interface RoleSession extends Session<AwsCredentials> {
  readonly user?: string | undefined;
}

export const stsUrl = ({ region, sts = endpointOf('sts', region) }: StsAt): string => `${sts.replace(/\/$/, '')}/`;

type StsDeps = Pick<SessionDeps, 'fetch' | 'now'>;

const step = 'exchange';

/** AssumeRoleWithWebIdentity: needs no signature, the token (our own assertion, the platform's) speaks for itself. @throws UpstreamError */
export function assumeRole(
  how: Assume & { readonly token: string },
  deps: StsDeps,
  deadline: Deadline,
): Promise<RoleSession> {
  const body = stsForm('AssumeRoleWithWebIdentity', { ...formOf(how), WebIdentityToken: how.token });
  return begin(how, { headers: formHeaders, body }, deps, deadline);
}

/** AssumeRole, by a session of ours; the tags and the source identity are the new session's. @throws UpstreamError */
export function assumeRoleBy(by: AwsCredentials, how: Assume & AwsMarks, deps: StsDeps, deadline: Deadline) {
  const tags = Object.entries(how.tags).flatMap(([name, value], at) => [
    [`Tags.member.${at + 1}.Key`, name],
    [`Tags.member.${at + 1}.Value`, value],
  ]);
  const marks = { ...Object.fromEntries(tags), ...(how.sourceIdentity && { SourceIdentity: how.sourceIdentity }) };
  const body = stsForm('AssumeRole', { ...formOf(how), ...marks });
  const unsigned = { host: new URL(stsUrl(how)).host, headers: formHeaders, body };
  const headers = signRequest(unsigned, by, { service: 'sts', region: how.region, now: deps.now() });
  return begin(how, { headers, body }, deps, deadline);
}

const formOf = ({ role, name, seconds, policy, policyArns = [] }: Assume): Record<string, string> => ({
  RoleArn: role,
  RoleSessionName: name,
  DurationSeconds: String(seconds),
  ...(policy !== undefined && { Policy: policy }),
  ...Object.fromEntries(policyArns.map((arn, at) => [`PolicyArns.member.${at + 1}.arn`, arn])),
});

async function begin(
  how: Assume,
  init: { readonly headers: Record<string, string>; readonly body: string },
  { fetch, now }: StsDeps,
  deadline: Deadline,
): Promise<RoleSession> {
  const at = now();
  const xml = await askSts(fetch, stsUrl(how), init, step, deadline);
  const found = {
    accessKeyId: textOf(xml, 'AccessKeyId', step),
    secretAccessKey: textOf(xml, 'SecretAccessKey', step),
    sessionToken: textOf(xml, 'SessionToken', step),
  };
  const { value, expiresAt } = checkSession(found, textOf(xml, 'Expiration', step), step);
  const user = xml.includes('<Arn>') ? textOf(xml, 'Arn', step) : undefined;
  // Never longer than was asked for, however far its clock is from ours.
  return { value, user, expiresAt: Math.min(expiresAt, at + how.seconds * 1000) };
}

export const formHeaders = { 'content-type': 'application/x-www-form-urlencoded' };

export const stsForm = (action: string, parameters: Readonly<Record<string, string>>): string =>
  new URLSearchParams({ Action: action, Version: '2011-06-15', ...parameters }).toString();

/** One call of the security token service; its answer is XML. @throws UpstreamError */
export async function askSts(
  fetch: SessionDeps['fetch'],
  url: string,
  init: { readonly headers: Record<string, string>; readonly body: string },
  step: string,
  deadline: Deadline,
): Promise<string> {
  const limits = { deadline, maxBytes: 64 * 1024 };
  const answer = await callHttp(fetch, url, { method: 'POST', ...init }, limits).catch((error) => {
    throw error instanceof HttpError ? fromHttpError(error, step) : error;
  });
  const { status } = answer;
  const xml = decode(answer.body);
  if (status === 200) return xml;
  const code = /<Code>([A-Za-z.]{1,64})<\/Code>/.exec(xml)?.[1];
  const message = /<Message>([^<]*)<\/Message>/.exec(xml)?.[1] ?? '';
  throw refused({ code, message, status, retryAfter: retryAfterOf(answer.headers) }, step);
}

function decode(body: Uint8Array): string {
  try {
    return fromUtf8(body);
  } catch {
    return '';
  }
}

/**
 * The text of the one element of this name. No XML is understood beyond that: where the name stands twice, or the text
 * has markup or entities in it, it is not an answer we can use.
 */
export function textOf(xml: string, name: string, step: string): string {
  const [, after, ...more] = xml.split(`<${name}>`);
  const end = after?.indexOf(`</${name}>`) ?? -1;
  const text = after?.slice(0, end) ?? '';
  if (end < 1 || more.length > 0 || /[<>&]/.test(text) || xml.includes('<!'))
    throw new UpstreamError('unreachable', { step, reason: 'not_understood' });
  return text;
}
