import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { Log } from '../../src/ledger/log/log.ts';
import { openSharded } from '../../src/ledger/shards/shards.ts';
import { openIn, type SqliteGiven } from './drivers/sqlite-fixture.ts';

export const origin = 'pass.example.com/ledger';

/** The folder of one shard's file. */
export const shardFolder = (folder: string, shard: number): string => join(folder, String(shard));

/** A ledger of several logs, each an SQLite file in a folder of its own. `between`: stands between it and its logs. */
export const openShards = (
  folder: string,
  count: number,
  given: SqliteGiven = {},
  between: (log: Log, shard: number) => Log = (log) => log,
): Promise<Ledger> =>
  openSharded({
    origin,
    count,
    open: async (shard, named) => {
      mkdirSync(shardFolder(folder, shard), { recursive: true });
      return between(await openIn(shardFolder(folder, shard), { ...given, origin: named }), shard);
    },
  });
