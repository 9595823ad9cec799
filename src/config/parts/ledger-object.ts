import { openObjectLedger } from '../../ledger/drivers/durable-object/log.ts';
import type { ObjectStorage } from '../../ledger/drivers/durable-object/storage.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { hkdfSha256 } from '../../lib/bytes.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import type { Platform } from '../../lib/platform.ts';
import type { Config } from '../config.ts';
import { openRing, withLiveKeys } from './key-ring.ts';
import { ledgerSecrets } from './ledger-side.ts';
import { openMintables } from './mintables.ts';
import { openParts } from './parts.ts';

/** How long building may take, milliseconds: stores are read for keys. */
const buildMs = 10_000;

/** The ledger's side alone, for the Durable Object that keeps the log: its keys are made in the object and stay there. */
export async function buildLedgerSide(config: Config, platform: Platform, storage: ObjectStorage): Promise<Ledger> {
  const parts = openParts(config, platform);
  const ring = await openRing(config, platform, { read: parts.read, buildMs, storage });
  const secrets = ledgerSecrets(ring, await openMintables(config, parts));
  const { origin } = config.ledger;
  const log = await openObjectLedger(storage, { platform, origin, writer: parts.writer, secrets });
  const ledger = await withLiveKeys(log, ring, deadlineIn(buildMs, platform.now));
  if (ring.secret === undefined) return ledger;
  // One way: what the handler makes fingerprints with leads to no key that signs.
  const secret = hkdfSha256(ring.secret, 'hallpass/secret/v1', 32);
  return { ...ledger, secret: async () => secret };
}
