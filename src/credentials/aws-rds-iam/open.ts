import type { Deadline } from '../../lib/deadline.ts';
import { Secret } from '../../lib/secret.ts';
import { parseDuration } from '../../lib/time.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import type { AwsCredentials } from '../../sessions/aws/credentials.ts';
import { type AwsLogin, loginToAws } from '../../sessions/aws/login.ts';
import { presign } from '../../sessions/aws/sign.ts';
import { keepSession, type Session } from '../../sessions/session.ts';
import { hostAndPort } from '../address.ts';
import type { AwsRdsIamConfig } from '../aws-rds-iam.ts';
import type { KindDeps, ReadCredential } from '../kind.ts';
import { atTarget } from '../target-error.ts';

/** AWS takes no longer token, seconds. */
const longest = 900;
const ports = { postgres: 5432, mysql: 3306 } as const;

export function open(config: AwsRdsIamConfig, deps: KindDeps): ReadCredential {
  const { engine, host, port = ports[engine], database, username, region, role: assume, sts } = config;
  const login = openSession({ region, assume, sts }, deps);
  const at = hostAndPort({ host, port });

  function dataOf(password: string) {
    const [user, secret, path] = [username, password, database ?? ''].map(encodeURIComponent);
    const url = `${engine}://${user}:${secret}@${at}/${path}`;
    return { host, port, ...(database !== undefined && { database }), username, password, url };
  }

  return {
    made: 'read',
    maxTtl: config.ttl === undefined ? longest : (parseDuration(config.ttl) as number),
    read: ({ expiresAt, deadline }) =>
      atTarget({ kind: 'aws-rds-iam', ...deps }, async () => {
        const session = await login(deadline);
        const now = deps.now();
        // A token dies with the session that signed it, and with the lease: logging in may have taken some of its time.
        const seconds = Math.min(longest, Math.ceil((Math.min(expiresAt, session.expiresAt) - now) / 1000));
        if (seconds < 1) throw new UpstreamError('unreachable', { step: 'sign', reason: 'session_over' });
        const query = { Action: 'connect', DBUser: username };
        const password = presign({ host: at, query, seconds }, session.value, { service: 'rds-db', region, now });
        const until = now + seconds * 1000;
        return {
          data: dataOf(password),
          fingerprinted: new Secret(password),
          ...(until < expiresAt && { expiresAt: until }),
        };
      }),
  };
}

/** A role's session is kept; a platform keeps its own, and is asked each time. */
function openSession(how: AwsLogin, deps: KindDeps): (deadline: Deadline) => Promise<Session<AwsCredentials>> {
  const begin = (deadline: Deadline) => loginToAws(how, deps, deadline);
  if (how.assume === undefined) return begin;
  const keeper = keepSession(async (deadline) => {
    const session = await begin(deadline);
    return { value: session, expiresAt: session.expiresAt };
  }, deps.now);
  return keeper.get;
}
