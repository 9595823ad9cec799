import type { Deadline } from '../../lib/deadline.ts';
import { parseStrictJsonObject } from '../../lib/strict-json.ts';
import { parseDuration } from '../../lib/time.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { keepSession, type Session, type SessionDeps, type SessionKeeper } from '../session.ts';
import { ambientCredentials } from './ambient.ts';
import type { AwsCredentials } from './credentials.ts';
import { assumeRole, type StsAt } from './sts.ts';

/** How to get credentials. A key without a session token is never taken, wherever it stands. */
export interface AwsLogin extends StsAt {
  /** ARN of the role to assume by our own assertion; absent: the platform's own identity. */
  readonly assume?: string | undefined;
  /** How long a session lasts, 15m to 1h; default 1h, which every role allows. */
  readonly session?: string | undefined;
}

/** Keeps a session with AWS: our assertion exchanged for a role's, or what the platform gives us. */
export function openAwsLogin(how: AwsLogin, deps: SessionDeps): SessionKeeper<AwsCredentials> {
  const { assume } = how;
  const login = (deadline: Deadline) =>
    assume === undefined ? ambientCredentials(how, deps, deadline) : exchange(assume, how, deps, deadline);
  return keepSession(login, deps.now);
}

async function exchange(
  role: string,
  how: AwsLogin,
  deps: SessionDeps,
  deadline: Deadline,
): Promise<Session<AwsCredentials>> {
  if (deps.assert === undefined) throw new UpstreamError('denied', { step: 'assertion', reason: 'nobody_signs' });
  deps.step?.('assertion');
  const token = await deps.assert(deadline);
  deps.step?.('exchange');
  const seconds = parseDuration(how.session ?? '1h') ?? 3600;
  try {
    return await assumeRole({ ...how, role, token, name: sessionName(token), seconds }, deps, deadline);
  } catch (error) {
    // It was made a moment ago: if it is over already, somebody's clock is wrong.
    if (error instanceof UpstreamError && /^ExpiredToken/.test(error.facts.code ?? ''))
      throw new UpstreamError('denied', { ...error.facts, reason: 'clock_skew', cause: error });
    throw error;
  }
}

/** `<id of the session record>@<host>`: from CloudTrail straight to the record of why. */
function sessionName(assertion: string): string {
  const { jti, sub } = parseStrictJsonObject(Buffer.from(assertion.split('.')[1] ?? '', 'base64url'));
  return `${jti}@${String(sub).replace(/^broker:/, '')}`.replace(/[^\w+=,.@-]/g, '-').slice(0, 64);
}
