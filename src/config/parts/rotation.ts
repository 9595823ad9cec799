import type { RotateConfig } from '../../credentials/rotator.ts';
import type { Platform } from '../../lib/platform.ts';
import { isJsonObject, type Json } from '../../lib/strict-json.ts';
import { parseDuration } from '../../lib/time.ts';
import { openRotation, type Rotated, type Rotation, type RotationDeps } from '../../rotation/rotate.ts';
import { subjectOf } from '../../sessions/assertion.ts';
import { cacheMs } from '../../stores/cache.ts';
import { refsIn } from '../checks/cross-checks.ts';
import type { Config } from '../config.ts';
import { type Parts, signerUrl } from './parts.ts';

/** Hands out what is rotated by a config, and how. */
export function buildRotation(
  config: Config,
  platform: Platform,
  { stores, read, derive }: Parts,
  recorded: Pick<RotationDeps, 'book' | 'count' | 'lists'>,
): Rotation {
  const rotated = new Map<string, Rotated>();
  for (const [credential, entry] of Object.entries(config.credentials)) {
    const { store, name, rotate } = entry as { store?: string; name?: string; rotate?: RotateConfig };
    if (store !== undefined && name !== undefined && rotate !== undefined)
      rotated.set(credential, { credential, store, name, rotate });
  }
  const self = subjectOf(config.broker.url);
  return openRotation({
    ...recorded,
    rotated,
    writer: config.broker.url,
    openStore: stores.open,
    self: { name: `self:${self}`, iss: signerUrl(config), subject: self },
    read,
    derive,
    random: platform.random,
    now: platform.now,
    log: platform.log,
    limits: config.limits,
    keepMs: (credential) => keepMs(config, rotated.get(credential)),
  });
}

/** Read from a cache until that is over, and used until its lease is. A value that is only stored ends for nobody. */
function keepMs(config: Config, rotated: Rotated | undefined): number {
  if (rotated === undefined || rotated.rotate.kind === 'generate') return 0;
  const { cache } = config.stores[rotated.store] as { cache?: string };
  return longestTtl(config, rotated) + cacheMs(cache);
}

/** What any grant gives of it at the longest, milliseconds; whatever credential hands it over. */
function longestTtl({ policyInput, credentials }: Config, { store, name }: Rotated): number {
  // An admin's login is handed to nobody.
  const isIts = (ref: ReturnType<typeof refsIn>[number]) =>
    ref.store === store && ref.name === name && ref.path.at(-1) !== 'admin';
  const holders = Object.keys(credentials).filter((one) => refsIn(credentials[one] as unknown as Json, []).some(isIts));
  const given = (may: Json): Json[] => {
    const role = policyInput.roles?.[String(may)];
    const list = isJsonObject(role) ? role.credentials : role;
    return [may, ...(Array.isArray(list) ? list : [])];
  };
  const ttls = (policyInput.grants ?? []).filter(isJsonObject).map(({ may, ttl, maxTtl }) => {
    const gives = (Array.isArray(may) ? may : []).flatMap(given).some((one) => holders.includes(String(one)));
    return gives ? (parseDuration(String(maxTtl ?? ttl)) ?? 0) : 0;
  });
  return Math.max(0, ...ttls) * 1000;
}
