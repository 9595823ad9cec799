import type { Deadline } from '../../lib/deadline.ts';
import { callHttp, HttpError } from '../../lib/http-client.ts';
import { type JsonObject, parseStrictJsonObject } from '../../lib/strict-json.ts';
import { faultOfStatus, fromHttpError, retryAfterOf, UpstreamError } from '../../lib/upstream.ts';
import { isLoopbackHost } from '../../lib/url.ts';
import type { Session, SessionDeps } from '../session.ts';
import { type AwsCredentials, readCredentials } from './credentials.ts';

const step = 'identity';
const folder = '/latest/meta-data/iam/security-credentials/';
const hosts = ['169.254.169.254', '[fd00:ec2::254]'];

/**
 * EC2 sets no variable by which an instance could be told from any other machine, so the operator says it:
 * `AWS_EC2_METADATA_SERVICE_ENDPOINT=http://169.254.169.254`.
 */
export const hasInstance = (env: SessionDeps['env']): boolean =>
  (env.AWS_EC2_METADATA_SERVICE_ENDPOINT ?? '') !== '' && env.AWS_EC2_METADATA_DISABLED?.toLowerCase() !== 'true';

/** What the instance's metadata service gives for its role, by its second version alone (a token first). */
export async function instanceCredentials(deps: SessionDeps, deadline: Deadline): Promise<Session<AwsCredentials>> {
  const base = baseOf(deps.env);
  const ask = (path: string, init: RequestInit) => askText(deps.fetch, base + path, init, deadline);
  const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': '300' };
  const token = await ask('/latest/api/token', { method: 'PUT', headers: ttl });
  const headers = { 'x-aws-ec2-metadata-token': checkText(token, /^[\x21-\x7e]{1,1024}$/) };
  const role = checkText((await ask(folder, { headers })).trim(), /^[\w+=,.@-]{1,64}$/);
  return readCredentials(parse(await ask(folder + role, { headers })), step);
}

function baseOf(env: SessionDeps['env']): string {
  const text = (env.AWS_EC2_METADATA_SERVICE_ENDPOINT ?? '').replace(/\/$/, '');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const known = url !== undefined && (hosts.includes(url.hostname) || isLoopbackHost(url.hostname));
  if (!known || url.origin !== text) throw new UpstreamError('invalid', { step, reason: 'metadata_endpoint' });
  return text;
}

async function askText(
  fetch: SessionDeps['fetch'],
  url: string,
  init: RequestInit,
  deadline: Deadline,
): Promise<string> {
  const answer = await callHttp(fetch, url, init, { deadline, maxBytes: 64 * 1024 }).catch((error) => {
    throw error instanceof HttpError ? fromHttpError(error, step) : error;
  });
  const { status } = answer;
  if (status === 200) return Buffer.from(answer.body).toString('utf8');
  // No role is attached to the instance.
  const reason = status === 404 ? 'no_ambient_identity' : undefined;
  const fault = status === 404 ? 'denied' : faultOfStatus(status);
  throw new UpstreamError(fault, { step, reason, status, retryAfter: retryAfterOf(answer.headers) });
}

function checkText(text: string, pattern: RegExp): string {
  if (!pattern.test(text)) throw new UpstreamError('unreachable', { step, reason: 'not_understood' });
  return text;
}

function parse(text: string): JsonObject {
  try {
    return parseStrictJsonObject(text);
  } catch {
    throw new UpstreamError('unreachable', { step, reason: 'not_understood' });
  }
}
