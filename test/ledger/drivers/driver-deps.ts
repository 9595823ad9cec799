import type { LedgerDriverDeps } from '../../../src/ledger/drivers/driver.ts';
import type { Minter } from '../../../src/ledger/records/writer.ts';
import type { Platform } from '../../../src/lib/platform.ts';
import { random, writer } from '../fixtures.ts';

export interface DriverGiven {
  readonly now?: () => number;
  readonly checkpointKey?: Uint8Array;
  readonly origin?: string;
  readonly minter?: Minter;
}

/** What a driver is opened with, on a Node that reaches no network. */
export function driverDeps(given: DriverGiven, folder?: string): LedgerDriverDeps {
  const {
    now = Date.now,
    checkpointKey = new Uint8Array(32).fill(7),
    origin = 'pass.example.com/ledger',
    minter,
  } = given;
  const platform: Platform = {
    runtime: 'node',
    now,
    random,
    fetch: () => Promise.reject(new Error('no network')),
    log: () => {},
    env: {},
    ...(folder !== undefined && { folder }),
    instance: 'test',
  };
  return { platform, origin, writer, secrets: { checkpointKey, minter, keys: { assertions: [] } } };
}
