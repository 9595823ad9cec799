import { ledgerDrivers } from '../ledger/index.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { pick } from '../lib/catalog.ts';
import type { Platform } from '../lib/platform.ts';
import type { Config } from './config.ts';
import { readFor } from './key-refs.ts';
import { openParts } from './parts.ts';

/** How long it may take, milliseconds: stores are read for keys. */
const openMs = 30_000;

/**
 * A config's ledger alone, beside its running server too: the operator's own hand on the log, without the broker. Undefined
 * for a ledger that is kept elsewhere. The caller closes it.
 *
 * @throws Error saying what could not be had
 */
export async function openOwnLog(config: Config, platform: Platform): Promise<Ledger | undefined> {
  const { ledger } = config;
  if (ledger.kind === 'http' || ledger.kind === 'durable-object') return undefined;
  const parts = openParts(config, platform);
  const { openRing, secretsFor } = await import('./key-ring.ts');
  const ring = await openRing(config, platform, { read: parts.read, buildMs: openMs });
  const secrets = await secretsFor(config, ring, parts);
  const driver = await pick(ledgerDrivers, ledger.kind).load();
  const read = readFor('ledger.url', parts.read, config.stores);
  return driver.open(ledger, { platform, origin: ledger.origin, writer: parts.writer, read, secrets });
}
