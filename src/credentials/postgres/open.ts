import { parseDuration } from '../../lib/time.ts';
import type { Credential, KindDeps } from '../kind.ts';
import type { PostgresConfig } from '../postgres.ts';
import { openStoredUser } from '../stored-user.ts';
import { dataOf } from './data.ts';
import { refuse } from './refuse.ts';
import { openTarget, type TargetConfig } from './target.ts';

export function open(config: PostgresConfig, deps: KindDeps): Credential {
  const maxTtl = config.ttl === undefined ? undefined : parseDuration(config.ttl);
  const ceiling = maxTtl === undefined ? {} : { maxTtl };
  if (config.static !== undefined) {
    const ofLogin = (username: string, password: string) => dataOf(config, username, password);
    return { ...ceiling, ...openStoredUser(config.static, deps, ofLogin, refuse) };
  }
  // The config's check has seen to it that these are there.
  return { ...ceiling, ...openTarget(config as TargetConfig, deps) };
}
