import type { Platform } from '../../lib/platform.ts';
import type { Config } from '../config.ts';
import { ownDriver } from './own-driver.ts';

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
  const own = await ownDriver(config, platform, initMs);
  if (own === undefined) return undefined;
  const { driver, deps } = own;
  const done = (await driver.init?.(config.ledger, deps)) ?? 'there';
  const { noteSigner } = await import('../../ledger/tree/note.ts');
  return { done, key: noteSigner(deps.origin, deps.secrets.checkpointKey).vkey };
}
