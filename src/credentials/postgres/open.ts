import { parseDuration } from '../../lib/time.ts';
import type { Credential, KindDeps } from '../kind.ts';
import type { PostgresConfig } from '../postgres.ts';
import { openStatic } from './static.ts';
import { openTarget, type TargetConfig } from './target.ts';

export function open(config: PostgresConfig, deps: KindDeps): Credential {
  const maxTtl = config.ttl === undefined ? undefined : parseDuration(config.ttl);
  const ceiling = maxTtl === undefined ? {} : { maxTtl };
  if (config.static !== undefined) return { ...ceiling, ...openStatic(config, config.static, deps) };
  // The config's check has seen to it that these are there.
  return { ...ceiling, ...openTarget(config as TargetConfig, deps) };
}
