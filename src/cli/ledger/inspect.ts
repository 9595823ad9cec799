import { readFor } from '../../config/parts/key-refs.ts';
import type { Inspection } from '../../ledger/drivers/driver.ts';
import { ledgerDrivers } from '../../ledger/index.ts';
import { pick } from '../../lib/catalog.ts';
import { openStores } from '../../stores/open.ts';
import { type ConfigFile, readConfigFile } from '../config-file.ts';
import { exit, Failure } from '../failure.ts';
import { ledgerFailure } from '../ledger-failure.ts';
import { nodePlatform } from '../node-platform.ts';
import type { Terminal } from '../terminal.ts';

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
    throw ledgerFailure(error, kind, 'the ledger cannot be read');
  }
}

/** The newest checkpoint of a config's ledger; of several logs, of the one named. @throws Failure */
export async function readCheckpoint(path: string, shard: number | undefined, terminal: Terminal): Promise<string> {
  const file = await readConfigFile(path, terminal);
  const { shards } = file.config.ledger;
  const count = typeof shards === 'number' && shards > 1 ? shards : undefined;
  // A checkpoint of one of several logs says nothing of the others: which one it is has to be asked for.
  if (count !== undefined && (shard === undefined || shard >= count))
    throw new Failure(
      exit.usage,
      `this ledger is ${count} logs, each with a checkpoint of its own`,
      `keep every one of them: --shard 0 to --shard ${count - 1}`,
    );
  if (count === undefined && shard !== undefined)
    throw new Failure(exit.usage, 'this ledger is one log', 'leave out --shard');
  const { source, close } = await inspectLedger(file, terminal, shard);
  try {
    const { checkpoint } = await source.head();
    if (checkpoint === '') throw new Failure(exit.negative, 'the ledger is empty and has signed no checkpoint yet');
    return checkpoint;
  } finally {
    await close();
  }
}
