import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { type AppendRequest, type AppendResult, type Entry, everyWriter, type Ledger, pendingPage } from '../ledger.ts';
import type { Log } from '../log/log.ts';
import { mostShards, shardOrigin } from '../log-name.ts';
import type { Head } from '../log-store.ts';
import { originOf, parseRecord } from '../records/record.ts';
import { vkeyAs } from '../tree/note.ts';
import { unavailable } from '../unavailable.ts';
import { isBeginning, openPlacement } from './placement.ts';

export interface ShardsDeps {
  /** Of the whole; the logs' own are `<origin>/<n>`. */
  readonly origin: string;
  /** 2 to 64; the same for ever. */
  readonly count: number;
  readonly open: (shard: number, origin: string) => Promise<Log>;
  /** Milliseconds, of any clock. */
  readonly now?: () => number;
}

/** Beside the first shard: how many there are. */
export const countText = 'shards';
const openMs = 5_000;
/** Lockdowns read at once. */
const lockdownPage = 100;
/** Other processes may be catching up the same shard. */
const catchUps = 5;

/**
 * Several logs as one ledger. Lockdowns are taken by the first and copied to all others in its order, so that an epoch
 * means the same in each: an append that adds or lifts one resolves when all have it, and where one could not be reached
 * it is ledger_unavailable, and the same append again completes it.
 *
 * @throws Error for another number of shards than the ledger was made with, and as `open` does
 */
export async function openSharded({ origin, count, open, now = () => performance.now() }: ShardsDeps): Promise<Ledger> {
  if (!Number.isSafeInteger(count) || count < 2 || count > mostShards)
    throw new Error(`a sharded ledger has 2 to ${mostShards} shards`);
  const logs = await openAll(count, (shard) => open(shard, shardOrigin(origin, shard)));
  const [first, ...others] = logs as [Log, ...Log[]];
  try {
    await checkCount(first, count, deadlineIn(openMs, now));
  } catch (error) {
    await closeAll(logs);
    throw error;
  }

  const placed = (shard: number, entries: readonly Entry[]): Entry[] =>
    entries.map((entry) => ({ ...entry, index: entry.index * count + shard }));
  const all = <T>(work: (log: Log, shard: number) => Promise<T>): Promise<T[]> => Promise.all(logs.map(work));
  const placement = openPlacement(count, (id, deadline) => logs.map((log) => log.issuance(id, deadline, everyWriter)));

  /** Copies to a shard what the first one has of lockdowns beyond its epoch. */
  async function catchUp(shard: Log, deadline: Deadline): Promise<void> {
    for (let attempt = 0; attempt < catchUps; attempt++) {
      const [behind, newest] = await Promise.all([shard, first].map((log) => log.reader.head(deadline)));
      const { epoch } = behind as Head;
      if (epoch === newest?.epoch) return;
      const missing = await lockdownsAfter(epoch, deadline);
      try {
        for (const { record, disclosure } of missing) await shard.copy({ record, disclosure }, deadline);
      } catch (error) {
        // Another process was faster; what it copied is not copied again.
        if (!isStale(error)) throw error;
      }
    }
    throw unavailable('shard_behind');
  }

  /** Oldest first. */
  async function lockdownsAfter(epoch: number, deadline: Deadline): Promise<Entry[]> {
    const found: Entry[] = [];
    for (let before: number | undefined; ; before = found.at(-1)?.index) {
      const filter = { type: 'lockdown' as const, limit: lockdownPage, ...(before !== undefined && { before }) };
      const page = await first.reader.list(filter, deadline);
      const newer = page.filter(({ record }) => (parseRecord(record).epoch ?? 0) > epoch);
      found.push(...newer);
      if (newer.length < lockdownPage) return found.reverse();
    }
  }

  /** All that are behind the first, and can be reached: what stops issuing is in these before it is told that it is not in all. */
  async function catchUpAll(deadline: Deadline): Promise<void> {
    const caught = await Promise.allSettled(others.map((shard) => catchUp(shard, deadline)));
    const failed = caught.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  async function append(
    request: AppendRequest,
    deadline: Deadline,
    take: (log: Log) => Promise<AppendResult>,
  ): Promise<AppendResult> {
    if (request.entries.some(isLockdown)) {
      const result = await take(first);
      await catchUpAll(deadline);
      return result;
    }
    const log = logs[await placement.shardOf(request, deadline)] as Log;
    try {
      return await take(log);
    } catch (error) {
      // A writer may have heard of a lockdown by another shard before this one has it.
      if (!isStale(error) || ((error as Refusal).options.members?.epoch as number) >= request.epoch) throw error;
    }
    await catchUp(log, deadline);
    return await take(log);
  }

  return {
    origin,
    append: (request, deadline) => append(request, deadline, (log) => log.append(request, deadline)),
    accept: (request, rights, deadline) => append(request, deadline, (log) => log.accept(request, rights, deadline)),
    async issuance(id, deadline, writer) {
      const stories = logs.map(async (log, shard) => placed(shard, await log.issuance(id, deadline, writer)));
      const found = await Promise.allSettled(stories);
      const entries = found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
      const failed = found.find((one) => one.status === 'rejected');
      // What began here is ended here: a shard that is away has but logins for it.
      if (failed !== undefined && !entries.some(isBeginning)) throw failed.reason;
      return entries;
    },
    async pending(state, deadline, { writer, after = -1 } = {}) {
      const pages = await all(async (log, shard) => {
        const filter = { writer, after: Math.floor((after - shard) / count) };
        return placed(shard, await log.pending(state, deadline, filter));
      });
      return pages
        .flat()
        .sort((one, other) => one.index - other.index)
        .slice(0, pendingPage);
    },
    key: async (deadline) => vkeyAs(await first.key(deadline), origin),
    keys: (deadline) => first.keys(deadline),
    async ready(deadline) {
      await all((log) => log.ready(deadline));
      await catchUpAll(deadline);
    },
    ownKeys: {
      list: (from, deadline) => first.ownKeys.list(from, deadline),
      async record(begin, end, deadline) {
        await first.ownKeys.record(begin, end, deadline);
        await Promise.all(others.map((log) => log.ownKeys.record(begin, end, deadline)));
      },
    },
    shards: logs,
    close: () => closeAll(logs),
  };
}

/** Opens them all, or none. */
async function openAll(count: number, open: (shard: number) => Promise<Log>): Promise<Log[]> {
  const opened = await Promise.allSettled(Array.from({ length: count }, (_, shard) => open(shard)));
  const logs = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = opened.find((one) => one.status === 'rejected');
  if (failed === undefined) return logs;
  await closeAll(logs);
  throw failed.reason;
}

const closeAll = async (logs: readonly Log[]): Promise<void> => {
  await Promise.all(logs.map((log) => log.close()));
};

/** With another number, a replay key would be looked for in another shard than the one it was spent in. */
async function checkCount({ texts }: Log, count: number, deadline: Deadline): Promise<void> {
  const made = await texts.read(countText, deadline);
  if (made === String(count)) return;
  if (made === undefined && (await texts.write(countText, undefined, String(count), deadline))) return;
  const known = made ?? (await texts.read(countText, deadline));
  if (known !== String(count)) throw new Error(`this ledger was made with ${known} shards, and keeps them`);
}

const isStale = (error: unknown): boolean => error instanceof Refusal && error.code === 'stale';

/** Also where it is malformed and no log takes it. */
function isLockdown(text: { readonly record: string; readonly disclosure: string | null }): boolean {
  const origin = originOf(text);
  return origin === undefined ? text.record.includes('"type":"lockdown"') : origin.record.type === 'lockdown';
}
