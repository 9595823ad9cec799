import { type AssertFor, openAsserter } from '../../broker/assertions.ts';
import { openBook } from '../../ledger/erasure/book.ts';
import { ledgerDrivers } from '../../ledger/index.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { pick } from '../../lib/catalog.ts';
import type { Platform } from '../../lib/platform.ts';
import type { Config } from '../config.ts';
import { readFor } from './key-refs.ts';
import { openParts } from './parts.ts';

/** How long it may take, milliseconds: stores are read for keys. */
const openMs = 30_000;

export interface OwnLog {
  readonly ledger: Ledger;
  /** Proves this process as the deployment it is of, by a record of the log. Not for one that follows another. */
  readonly assertFor: AssertFor;
}

/**
 * A config's ledger alone, beside its running server too: the operator's own hand on the log, without the broker. Undefined
 * for a ledger that is kept elsewhere. The caller closes it.
 *
 * @throws Error saying what could not be had
 */
export async function openOwnLog(config: Config, platform: Platform): Promise<OwnLog | undefined> {
  const { ledger } = config;
  if (ledger.kind === 'http' || ledger.kind === 'durable-object') return undefined;
  const parts = openParts(config, platform);
  const { openRing, secretsFor } = await import('./key-ring.ts');
  const ring = await openRing(config, platform, { read: parts.read, buildMs: openMs });
  const secrets = await secretsFor(config, ring, parts);
  const driver = await pick(ledgerDrivers, ledger.kind).load();
  const read = readFor('ledger.url', parts.read, config.stores);
  const { writer, assertFor } = parts;
  const opened = await driver.open(ledger, { platform, origin: ledger.origin, writer, read, secrets });
  const { now, random } = platform;
  const book = openBook({ ledger: opened, policy: config.policy, writer, now, random });
  const { url } = config.broker;
  parts.proveBy(openAsserter({ book, issuer: url, writer: url, ledgerMs: config.limits.ledgerMs, now }));
  return { ledger: opened, assertFor };
}
