import type { Deadline } from '../../lib/deadline.ts';
import { parseStrictJsonObject } from '../../lib/strict-json.ts';
import { parseDuration } from '../../lib/time.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { keepSession, type Session, type SessionDeps, type SessionKeeper } from '../session.ts';
import { ambientCredentials } from './ambient.ts';
import type { AwsCredentials } from './credentials.ts';
import { type Assume, assumeRole, type RoleSession, type StsAt } from './sts.ts';

/** How to get credentials. A key without a session token is never taken, wherever it stands. */
export interface AwsLogin extends StsAt {
  /** ARN of the role to assume by our own assertion; absent: the platform's own identity. */
  readonly assume?: string | undefined;
  /** How long a session lasts, 15m to 1h; default 1h, which every role allows. */
  readonly session?: string | undefined;
}

/** Keeps a session with AWS: our assertion exchanged for a role's, or what the platform gives us. */
export const openAwsLogin = (how: AwsLogin, deps: SessionDeps): SessionKeeper<AwsCredentials> =>
  keepSession((deadline) => loginToAws(how, deps, deadline), deps.now);

/** One login, to be kept or not. @throws UpstreamError, and Refusal of `assert` */
export function loginToAws(
  { assume, session = '1h', ...at }: AwsLogin,
  deps: SessionDeps,
  deadline: Deadline,
): Promise<Session<AwsCredentials>> {
  if (assume === undefined) return ambientCredentials(at, deps, deadline);
  const seconds = parseDuration(session) ?? 3600;
  return assumeByAssertion((token) => ({ ...at, role: assume, name: sessionName(token), seconds }), deps, deadline);
}

/** A role's session for one assertion of our own, of which the rest may follow. @throws as `loginToAws` */
export async function assumeByAssertion(
  howOf: (assertion: string) => Assume,
  deps: SessionDeps,
  deadline: Deadline,
): Promise<RoleSession> {
  if (deps.assert === undefined) throw new UpstreamError('denied', { step: 'assertion', reason: 'nobody_signs' });
  deps.step?.('assertion');
  const token = await deps.assert(deadline);
  deps.step?.('exchange');
  try {
    return await assumeRole({ ...howOf(token), token }, deps, deadline);
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
