import type { Deadline } from '../../lib/deadline.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { readProjectedToken } from '../projected-token.ts';
import type { Session, SessionDeps } from '../session.ts';
import { containerCredentials, hasContainer } from './container.ts';
import type { AwsCredentials } from './credentials.ts';
import { hasInstance, instanceCredentials } from './instance.ts';
import { assumeRole, type StsAt } from './sts.ts';

const step = 'identity';
/** How long variables of the environment are believed before they are read again, milliseconds. */
const believedMs = 15 * 60 * 1000;

/**
 * The platform's own identity, the first that the environment says there is: session credentials in variables (Lambda),
 * the container endpoint (ECS, EKS Pod Identity), a web identity token file (EKS service accounts), the instance's
 * metadata service where a variable names it. Nothing else is asked, no file of a home folder is read, and a key without
 * a session token is refused rather than passed over.
 *
 * @throws UpstreamError
 */
export async function ambientCredentials(
  at: StsAt,
  deps: SessionDeps,
  deadline: Deadline,
): Promise<Session<AwsCredentials>> {
  deps.step?.(step);
  const { env } = deps;
  if (isSet(env.AWS_ACCESS_KEY_ID) && isSet(env.AWS_SECRET_ACCESS_KEY)) return fromVariables(deps);
  if (hasContainer(env)) return containerCredentials(deps, deadline);
  if (isSet(env.AWS_WEB_IDENTITY_TOKEN_FILE) && isSet(env.AWS_ROLE_ARN))
    return fromTokenFile(env.AWS_WEB_IDENTITY_TOKEN_FILE, env.AWS_ROLE_ARN, at, deps, deadline);
  if (hasInstance(env)) return instanceCredentials(deps, deadline);
  throw new UpstreamError('denied', { step, reason: 'no_ambient_identity' });
}

export const isSet = (value: string | undefined): value is string => value !== undefined && value !== '';

function fromVariables({ env, now }: SessionDeps): Session<AwsCredentials> {
  const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '', AWS_SESSION_TOKEN } = env;
  if (!isSet(AWS_SESSION_TOKEN)) throw new UpstreamError('denied', { step, reason: 'long_lived_key' });
  const value = {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    sessionToken: AWS_SESSION_TOKEN,
  };
  return { value, expiresAt: now() + believedMs };
}

async function fromTokenFile(
  file: string,
  role: string,
  at: StsAt,
  deps: SessionDeps,
  deadline: Deadline,
): Promise<Session<AwsCredentials>> {
  const { value: token } = await readProjectedToken(file, deps);
  const given = deps.env.AWS_ROLE_SESSION_NAME ?? '';
  const name = /^[\w+=,.@-]{2,64}$/.test(given) ? given : 'hallpass';
  return assumeRole({ ...at, role, token, name, seconds: 3600 }, deps, deadline);
}
