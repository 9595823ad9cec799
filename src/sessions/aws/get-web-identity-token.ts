import type { Deadline } from '../../lib/deadline.ts';
import { parseInstant } from '../../lib/time.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import type { Session, SessionDeps } from '../session.ts';
import { ambientCredentials } from './ambient.ts';
import { signRequest } from './sign.ts';
import { askSts, formHeaders, type StsAt, stsForm, stsUrl, textOf } from './sts.ts';

/** Seconds; the longest AWS gives is an hour, the shortest a minute. */
const lifetime = 300;
const step = 'identity';

/**
 * AWS's own ID token of the platform's identity for an audience (sts:GetWebIdentityToken; the account must have outbound
 * identity federation on): what a workload shows to Hallpass, and a broker to a ledger elsewhere. Asked anew each time.
 *
 * @throws UpstreamError
 */
export async function awsIdentityToken(
  audience: string,
  at: StsAt,
  deps: SessionDeps,
  deadline: Deadline,
): Promise<Session<string>> {
  const { value: by } = await ambientCredentials(at, deps, deadline);
  const url = stsUrl(at);
  const body = stsForm('GetWebIdentityToken', {
    'Audience.member.1': audience,
    DurationSeconds: String(lifetime),
    SigningAlgorithm: 'ES384',
  });
  const unsigned = { host: new URL(url).host, headers: formHeaders, body };
  const headers = signRequest(unsigned, by, { service: 'sts', region: at.region, now: deps.now() });
  const xml = await askSts(deps.fetch, url, { headers, body }, step, deadline);
  const value = textOf(xml, 'WebIdentityToken', step);
  const expiresAt = parseInstant(textOf(xml, 'Expiration', step));
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(value) || expiresAt === undefined)
    throw new UpstreamError('unreachable', { step, reason: 'not_understood' });
  return { value, expiresAt };
}
