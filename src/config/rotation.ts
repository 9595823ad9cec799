import type { RotateConfig } from '../credentials/rotator.ts';
import type { Book } from '../ledger/book.ts';
import type { Platform } from '../lib/platform.ts';
import { parseDuration } from '../lib/time.ts';
import { openRotation, type Rotated, type Rotation } from '../rotation/rotate.ts';
import { subjectOf } from '../sessions/assertion.ts';
import { cacheMs } from '../stores/cache.ts';
import type { Config } from './config.ts';
import { type Parts, signerUrl } from './parts.ts';

/** Hands out what is rotated by a config, and how. */
export function buildRotation(config: Config, platform: Platform, { stores, read }: Parts, book: Book): Rotation {
  const rotated = new Map<string, Rotated>();
  for (const [credential, entry] of Object.entries(config.credentials)) {
    const { store, name, rotate } = entry as { store?: string; name?: string; rotate?: RotateConfig };
    if (store !== undefined && name !== undefined && rotate !== undefined)
      rotated.set(credential, { credential, store, name, rotate });
  }
  const self = subjectOf(config.broker.url);
  const longest = longestTtl(config);
  return openRotation({
    rotated,
    openStore: stores.open,
    book,
    self: { name: `self:${self}`, iss: signerUrl(config), subject: self },
    read,
    random: platform.random,
    now: platform.now,
    log: platform.log,
    limits: config.limits,
    keepMs: (credential) => {
      const store = config.stores[rotated.get(credential)?.store ?? ''] as { cache?: string } | undefined;
      return longest + cacheMs(store?.cache);
    },
  });
}

/** What any grant gives at the longest, milliseconds: nobody holds a value for longer. */
function longestTtl({ policyInput }: Config): number {
  const ttls = (policyInput.grants ?? []).map((grant) => {
    const { ttl, maxTtl } = grant as { ttl?: string; maxTtl?: string };
    return parseDuration(maxTtl ?? ttl ?? '') ?? 0;
  });
  return Math.max(0, ...ttls) * 1000;
}
