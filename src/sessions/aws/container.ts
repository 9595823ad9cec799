import { fromUtf8 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { askJson, UpstreamError } from '../../lib/upstream.ts';
import { isLoopbackHost } from '../../lib/url.ts';
import type { Session, SessionDeps } from '../session.ts';
import { type AwsCredentials, readCredentials } from './credentials.ts';

const step = 'identity';

/** Hosts that AWS's own agents answer on, beside loopback; plain http is for these alone. */
const agents = ['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]'];

export const hasContainer = (env: SessionDeps['env']): boolean =>
  (env.AWS_CONTAINER_CREDENTIALS_FULL_URI ?? '') !== '' || (env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI ?? '') !== '';

/** What ECS, EKS Pod Identity and their like hand to a container. @throws UpstreamError */
export async function containerCredentials(deps: SessionDeps, deadline: Deadline): Promise<Session<AwsCredentials>> {
  const url = urlOf(deps.env);
  const token = await tokenOf(deps);
  const headers: Record<string, string> = token === undefined ? {} : { authorization: token };
  const codeOf = (body: { code?: unknown }) => body.code;
  return readCredentials(await askJson(deps.fetch, url, { headers }, { step, deadline, codeOf }), step);
}

function urlOf(env: SessionDeps['env']): string {
  const relative = env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI ?? '';
  const text = relative === '' ? (env.AWS_CONTAINER_CREDENTIALS_FULL_URI ?? '') : `http://169.254.170.2${relative}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const fine =
    url !== undefined &&
    url.username === '' &&
    (url.protocol === 'https:' ||
      (url.protocol === 'http:' && (isLoopbackHost(url.hostname) || agents.includes(url.hostname))));
  // A relative one that is not a path would name a host of its own.
  if (!fine || (relative !== '' && !relative.startsWith('/')))
    throw new UpstreamError('invalid', { step, reason: 'container_uri' });
  return url.href;
}

async function tokenOf({ env, readFile }: SessionDeps): Promise<string | undefined> {
  const file = env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE ?? '';
  if (file === '') return checkToken(env.AWS_CONTAINER_AUTHORIZATION_TOKEN || undefined);
  if (readFile === undefined) throw new UpstreamError('unreachable', { step, reason: 'no_file_system' });
  // Read each time: the platform renews it in place.
  const bytes = await readFile(file).catch((cause) => {
    throw new UpstreamError('unreachable', { step, reason: 'no_token', file, cause });
  });
  return checkToken(fromUtf8(bytes).trimEnd());
}

function checkToken(token: string | undefined): string | undefined {
  if (token !== undefined && !/^[\x20-\x7e]{1,16384}$/.test(token))
    throw new UpstreamError('invalid', { step, reason: 'container_token' });
  return token;
}
