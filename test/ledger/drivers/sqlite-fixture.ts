import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LedgerDriverDeps } from '../../../src/ledger/drivers/driver.ts';
import { openSqliteLedger, type SqliteParts } from '../../../src/ledger/drivers/sqlite/open.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { asking, clockAt, scribe, soon } from '../fixtures.ts';
import { type DriverGiven, driverDeps } from './driver-deps.ts';

export interface SqliteGiven extends DriverGiven {
  readonly folder?: string;
  readonly parts?: SqliteParts;
}

export const newFolder = (): string => mkdtempSync(join(tmpdir(), 'hallpass-ledger-'));
export const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true });

export const depsOf = (given: SqliteGiven, folder: string): LedgerDriverDeps => driverDeps(given, folder);

export const openIn = (folder: string, given: SqliteGiven = {}) =>
  openSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, depsOf(given, folder), given.parts);

/** Appends one denial. */
export async function appendOne(ledger: Ledger, ms = 3_000) {
  const write = scribe(clockAt(Date.now()));
  return await ledger.append(asking(write.denial()), soon(ms));
}
