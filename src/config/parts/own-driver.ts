import { ledgerDrivers } from '../../ledger/index.ts';
import { pick } from '../../lib/catalog.ts';
import type { Platform } from '../../lib/platform.ts';
import type { Config } from '../config.ts';
import { readFor } from './key-refs.ts';
import { openParts } from './parts.ts';

/**
 * The driver of a config's own ledger and what it is opened, or made, with; `ms`: how long the stores may take that are read
 * for keys. Undefined for a ledger that is kept elsewhere.
 *
 * @throws Error saying what could not be had
 */
export async function ownDriver(config: Config, platform: Platform, ms: number) {
  const { ledger } = config;
  if (ledger.kind === 'http' || ledger.kind === 'durable-object') return undefined;
  const parts = openParts(config, platform);
  const { openRing, secretsFor } = await import('./key-ring.ts');
  const ring = await openRing(config, platform, { read: parts.read, buildMs: ms });
  const secrets = await secretsFor(config, ring, parts);
  const driver = await pick(ledgerDrivers, ledger.kind).load();
  const read = readFor('ledger.url', parts.read, config.stores);
  return { driver, parts, deps: { platform, origin: ledger.origin, writer: parts.writer, read, secrets } };
}
