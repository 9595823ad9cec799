import { type AssertFor, openAsserter } from '../../broker/assertions.ts';
import { openBook } from '../../ledger/erasure/book.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { Platform } from '../../lib/platform.ts';
import type { Config } from '../config.ts';
import { openConfirmed } from './confirmed.ts';
import { ownDriver } from './own-driver.ts';

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
  const own = await ownDriver(config, platform, openMs);
  if (own === undefined) return undefined;
  const { writer, assertFor } = own.parts;
  const open = (gate: object) => own.driver.open(config.ledger, { ...own.deps, ...gate });
  const opened = await openConfirmed(config, platform, open, { serves: false });
  const { now, random } = platform;
  const book = openBook({ ledger: opened, policy: config.policy, writer, now, random });
  const { url } = config.broker;
  own.parts.proveBy(openAsserter({ book, issuer: url, writer: url, ledgerMs: config.limits.ledgerMs, now }));
  return { ledger: opened, assertFor };
}
