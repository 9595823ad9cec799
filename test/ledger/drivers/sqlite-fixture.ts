import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LedgerDriverDeps } from '../../../src/ledger/driver.ts';
import { openSqliteLedger, type SqliteParts } from '../../../src/ledger/drivers/sqlite/open.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { Minter } from '../../../src/ledger/writer.ts';
import { asking, clockAt, random, scribe, soon, writer } from '../fixtures.ts';

export interface SqliteGiven {
  readonly now?: () => number;
  readonly checkpointKey?: Uint8Array;
  readonly origin?: string;
  readonly minter?: Minter;
  readonly folder?: string;
  readonly parts?: SqliteParts;
}

export const newFolder = (): string => mkdtempSync(join(tmpdir(), 'hallpass-ledger-'));
export const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true });

export function depsOf(given: SqliteGiven, folder: string): LedgerDriverDeps {
  const {
    now = Date.now,
    checkpointKey = new Uint8Array(32).fill(7),
    origin = 'pass.example.com/ledger',
    minter,
  } = given;
  const platform = {
    runtime: 'node' as const,
    now,
    random,
    fetch: () => Promise.reject(new Error('no network')),
    log: () => {},
    env: {},
    folder,
    instance: 'test',
  };
  return { platform, origin, writer, secrets: { checkpointKey, minter, keys: { assertions: [] } } };
}

export const openIn = (folder: string, given: SqliteGiven = {}) =>
  openSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, depsOf(given, folder), given.parts);

/** Appends one denial. */
export async function appendOne(ledger: Ledger, ms = 3_000) {
  const write = scribe(clockAt(Date.now()));
  return await ledger.append(asking(write.denial()), soon(ms));
}
