import { ledgerDrivers } from '../../ledger/index.ts';
import { pick } from '../../lib/catalog.ts';
import type { Platform } from '../../lib/platform.ts';
import type { Config } from '../config.ts';
import { readFor } from './key-refs.ts';
import { openParts } from './parts.ts';

/** How long it may take, milliseconds: stores are read for keys, and tables are made. */
const initMs = 60_000;

/**
 * Makes the tables of a config's ledger, or brings them up to date, and with them the keys that a first start makes.
 * `there`: nothing was to be done. Undefined for a ledger that is made elsewhere or by itself.
 *
 * @throws Error saying what could not be had or made
 */
export async function initLedger(
  config: Config,
  platform: Platform,
): Promise<{ readonly done: 'made' | 'upgraded' | 'there'; readonly key: string } | undefined> {
  const { ledger } = config;
  if (ledger.kind === 'http' || ledger.kind === 'durable-object') return undefined;
  const parts = openParts(config, platform);
  const { openRing, secretsFor } = await import('./key-ring.ts');
  const ring = await openRing(config, platform, { read: parts.read, buildMs: initMs });
  const secrets = await secretsFor(config, ring, parts);
  const driver = await pick(ledgerDrivers, ledger.kind).load();
  const deps = {
    platform,
    origin: ledger.origin,
    writer: parts.writer,
    read: readFor('ledger.url', parts.read, config.stores),
    secrets,
  };
  const done = (await driver.init?.(ledger, deps)) ?? 'there';
  const { noteSigner } = await import('../../ledger/tree/note.ts');
  return { done, key: noteSigner(ledger.origin, secrets.checkpointKey).vkey };
}
