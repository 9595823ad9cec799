import { kinds } from '../../credentials/index.ts';
import { isKmsFault } from '../../keys/kms-fault.ts';
import { type LiveRing, memoryKeyLog, openLiveRing } from '../../keys/live-ring.ts';
import { newKeyFor } from '../../keys/private-key.ts';
import { openKeyRing } from '../../keys/ring.ts';
import type { ObjectKeys } from '../../keys/signer.ts';
import type { LogSecrets } from '../../ledger/drivers/driver.ts';
import {
  keepSignerText,
  type ObjectStorage,
  signerJwk,
  signerText,
} from '../../ledger/drivers/durable-object/storage.ts';
import type { Ledger, PublicKeys } from '../../ledger/ledger.ts';
import { pick } from '../../lib/catalog.ts';
import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import { readKeyBytes } from '../../lib/key-bytes.ts';
import type { Platform } from '../../lib/platform.ts';
import type { ReadRef, Ref } from '../../lib/ref.ts';
import { stores } from '../../stores/index.ts';
import type { Config } from '../config.ts';
import { followLog } from './key-log.ts';
import { readFor, UnreadKey } from './key-refs.ts';
import { ledgerSecrets, publicKeys } from './ledger-side.ts';
import { openMintables } from './mintables.ts';
import type { Parts } from './parts.ts';

/** What some store or target takes and nothing else. */
export function neededAlgorithms(config: Pick<Config, 'ledger' | 'stores' | 'credentials'>): readonly 'RS256'[] {
  // Where the ledger is elsewhere, it signs.
  if (config.ledger.kind === 'http') return [];
  const taken = [
    ...Object.values(config.stores).map((entry) => pick(stores, entry.kind).assertion?.(entry)),
    ...Object.values(config.credentials).map((entry) => pick(kinds, entry.kind).assertion?.(entry)),
  ];
  return taken.some((terms) => terms?.algorithms.every((alg) => alg === 'RS256')) ? ['RS256'] : [];
}

export interface RingOptions {
  readonly read: ReadRef;
  readonly buildMs: number;
  /** Of the ledger's own Durable Object. */
  readonly storage?: ObjectStorage;
}

/** Opens what the config says signs. @throws KeyError, UnreadKey */
export async function openRing(config: Config, platform: Platform, options: RingOptions): Promise<LiveRing> {
  const { broker, ledger } = config;
  const { read, buildMs, storage } = options;
  const { now, log } = platform;
  const deadline = deadlineIn(buildMs, now);
  const seedRef = ledger.seed as Ref | undefined;
  const readSeed = readFor('ledger.seed', read, config.stores);
  const seed = seedRef && (await readKeyBytes(readSeed, seedRef, 'ledger.seed', deadline));
  const ledgerElsewhere = ledger.kind === 'http';
  const object = storage && objectKeys(storage);
  const deps = {
    ...platform,
    read: readFor('broker.signer', read, config.stores),
    needs: neededAlgorithms(config),
    ...(object && { object }),
  };
  const ring = await openKeyRing({ signer: broker.signer, seed, ledgerElsewhere }, deps, deadline).catch((error) => {
    throw isKmsFault(error) ? new UnreadKey(`broker.signer: the KMS gave no key (${error.reason})`, error) : error;
  });
  // What is derived from a signer's key would go with it.
  const mayForget = ledgerElsewhere || (seed !== undefined && broker.secret !== undefined);
  const live = openLiveRing(ring, { now, log, announceMs: broker.announceMs, mayForget, alone: ledgerElsewhere });
  if (ledgerElsewhere) await live.follow(memoryKeyLog(now), deadline);
  return live;
}

/** What a broker itself publishes, where its ledger is elsewhere. */
export async function ownKeys(ring: LiveRing, deadline: Deadline): Promise<PublicKeys> {
  await ring.renew(deadline);
  return publicKeys(ring);
}

/** What a log of this deployment's own holds beside its tables. */
export const secretsFor = async (config: Config, ring: LiveRing, parts: Parts): Promise<LogSecrets> =>
  ledgerSecrets(ring, await openMintables(config, parts));

/** The ledger with this deployment's keys as they rotate. */
export async function withLiveKeys(ledger: Ledger, ring: LiveRing, deadline: Deadline): Promise<Ledger> {
  if (ledger.ownKeys !== undefined) await ring.follow(followLog(ledger.ownKeys), deadline);
  return {
    ...ledger,
    async keys(until) {
      await ring.renew(until);
      return publicKeys(ring);
    },
    refreshKeys: ring.refresh,
  };
}

function objectKeys(storage: ObjectStorage): ObjectKeys {
  return {
    async made(alg) {
      if (alg === 'ES256') return JSON.stringify(signerJwk(storage));
      const there = signerText(storage, alg);
      if (there !== undefined) return there;
      const fresh = await newKeyFor(alg);
      // Another call may have made one meanwhile.
      const made = signerText(storage, alg) ?? fresh;
      await keepSignerText(storage, alg, made);
      return made;
    },
    sealed: () => signerText(storage, 'sealed'),
    keep: (text) => keepSignerText(storage, 'sealed', text),
  };
}
