import { readFor } from '../config/key-refs.ts';
import type { Inspection } from '../ledger/driver.ts';
import { ledgerDrivers } from '../ledger/index.ts';
import { pick } from '../lib/catalog.ts';
import { openStores } from '../stores/open.ts';
import { type ConfigFile, readConfigFile } from './config-file.ts';
import { exit, Failure } from './failure.ts';
import { nodePlatform } from './node-platform.ts';
import type { Terminal } from './terminal.ts';

/** The ledger of a config, opened for reading beside whoever writes it; the caller closes it. @throws Failure */
export async function inspectLedger(
  { config, folder }: ConfigFile,
  terminal: Terminal,
  shard?: number,
): Promise<Inspection> {
  const { kind, url } = config.ledger;
  const driver = await pick(ledgerDrivers, kind).load();
  if (driver.inspect === undefined)
    throw new Failure(
      exit.negative,
      `the ${kind} ledger cannot be read from here`,
      kind === 'http' ? `ask the ledger itself, at ${String(url)}` : undefined,
    );
  try {
    const platform = { ...nodePlatform(terminal, folder), log: () => {} };
    const opened = openStores(config.stores, { ...platform, storeMs: config.limits.storeMs });
    const read = readFor('ledger.url', opened.read, config.stores);
    return await driver.inspect(config.ledger, { platform, read, ...(shard !== undefined && { shard }) });
  } catch (error) {
    throw new Failure(exit.negative, error instanceof Error ? error.message : 'the ledger cannot be read');
  }
}

/** The newest checkpoint of a config's ledger. @throws Failure */
export async function readCheckpoint(file: string, terminal: Terminal): Promise<string> {
  const { source, close } = await inspectLedger(await readConfigFile(file, terminal), terminal);
  try {
    const { checkpoint } = await source.head();
    if (checkpoint === '') throw new Failure(exit.negative, 'the ledger is empty and has signed no checkpoint yet');
    return checkpoint;
  } finally {
    await close();
  }
}
