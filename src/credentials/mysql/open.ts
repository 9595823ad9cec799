import { parseDuration } from '../../lib/time.ts';
import type { Credential, KindDeps } from '../kind.ts';
import type { MysqlConfig } from '../mysql.ts';
import { openStoredUser } from '../stored-user.ts';
import { refuse } from './connection.ts';
import { dataOf } from './data.ts';
import { openTarget, type TargetConfig } from './target.ts';

export function open(config: MysqlConfig, deps: KindDeps): Credential {
  const ceiling = config.ttl === undefined ? {} : { maxTtl: parseDuration(config.ttl) as number };
  if (config.static !== undefined) {
    const ofLogin = (username: string, password: string) => dataOf(config, username, password);
    return { ...ceiling, ...openStoredUser(config.static, deps, ofLogin, refuse) };
  }
  // The config's check has seen to it that these are there.
  return { ...ceiling, ...openTarget(config as TargetConfig, deps) };
}
