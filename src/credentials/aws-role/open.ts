import type { Deadline } from '../../lib/deadline.ts';
import { Secret } from '../../lib/secret.ts';
import { instant, parseDuration } from '../../lib/time.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { assumeByAssertion, openAwsLogin } from '../../sessions/aws/login.ts';
import { isSessionOver } from '../../sessions/aws/refusal.ts';
import { type Assume, assumeRoleBy, type RoleSession } from '../../sessions/aws/sts.ts';
import { accountOf } from '../account.ts';
import { type AwsRoleConfig, marksOf } from '../aws-role.ts';
import type { KindDeps, ReadCredential } from '../kind.ts';
import { atTarget } from '../target-error.ts';

/** AWS makes no shorter session, seconds. */
const shortest = 900;

export function open(config: AwsRoleConfig, deps: KindDeps): ReadCredential {
  const { role, region = 'us-east-1', sts, policyArns } = config;
  const policy = config.policy === undefined ? undefined : JSON.stringify(config.policy);
  const assume = config.login === 'ambient' ? byPlatform({ region, sts }, deps) : byAssertion(deps);
  return {
    made: 'read',
    maxTtl: parseDuration(config.ttl ?? '1h') as number,
    account: accountOf,
    read: ({ id, ttl, expiresAt, deadline }) =>
      atTarget({ kind: 'aws-role', ...deps }, async () => {
        const name = accountOf(id);
        const seconds = Math.max(ttl, shortest);
        const session = await assume({ region, sts, role, name, seconds, policy, policyArns }, id, deadline);
        checkSession(session, role, name, deps.now());
        const { accessKeyId, secretAccessKey, sessionToken } = session.value;
        const expiration = instant(session.expiresAt);
        return {
          data: { accessKeyId, secretAccessKey, sessionToken, expiration, roleArn: role },
          fingerprinted: new Secret(secretAccessKey),
          ...(session.expiresAt < expiresAt && { expiresAt: session.expiresAt }),
        };
      }),
  };
}

type AssumeFor = (how: Assume, issuance: string, deadline: Deadline) => Promise<RoleSession>;

/** One assertion for each issuance, as its claims speak of it. */
const byAssertion =
  ({ assert, ...deps }: KindDeps): AssumeFor =>
  (how, issuance, deadline) =>
    assumeByAssertion(
      () => how,
      { ...deps, ...(assert && { assert: (until: Deadline) => assert(until, issuance) }) },
      deadline,
    );

/** The platform's own session; where it is over, one login and the call once more. */
function byPlatform(at: Pick<Assume, 'region' | 'sts'>, deps: KindDeps): AssumeFor {
  const login = openAwsLogin(at, deps);
  return async (how, issuance, deadline) => {
    for (let again = false; ; again = true) {
      const by = await login.get(deadline);
      deps.step?.('exchange');
      try {
        return await assumeRoleBy(by, { ...how, ...marksOf(deps.name, issuance) }, deps, deadline);
      } catch (error) {
        if (again || !(error instanceof UpstreamError) || !isSessionOver(error)) throw error;
        login.drop(by);
      }
    }
  };
}

/** The session must be of this role under this name: whatever else answered in AWS's place is not handed on. */
function checkSession({ user, expiresAt }: RoleSession, role: string, name: string, now: number): void {
  const [, partition, , , account] = role.split(':');
  const expected = `arn:${partition}:sts::${account}:assumed-role/${role.split('/').at(-1)}/${name}`;
  const reason = user !== expected ? 'foreign_session' : expiresAt <= now ? 'session_over' : undefined;
  if (reason !== undefined) throw new UpstreamError('unreachable', { step: 'exchange', reason });
}
