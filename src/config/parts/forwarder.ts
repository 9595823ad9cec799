import { originOf } from '../../ledger/generation.ts';
import { headOf, logsOf, promotionIn, promotionName, textsOf } from '../../ledger/going-on/promotion.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { hashesIn } from '../../ledger/log-hashes.ts';
import { readConsistencyProof } from '../../ledger/tree/consistency.ts';
import type { Deadline } from '../../lib/deadline.ts';
import type { Metrics } from '../../lib/metrics.ts';
import type { Platform } from '../../lib/platform.ts';
import { type Forwarder, openForwarder } from '../../sinks/forwarder.ts';
import { sinks as catalog } from '../../sinks/index.ts';
import type { SinkSettings } from '../../sinks/settings.ts';
import type { SinkDeps, SinkPlugIn } from '../../sinks/sink.ts';
import type { SinkSource } from '../../sinks/source.ts';
import type { Config } from '../config.ts';
import { sinkLogin } from './mintables.ts';
import type { Parts } from './parts.ts';

/** Carries what is in the ledger to the sinks of the config. */
export function buildForwarder(
  { sinks }: Pick<Config, 'sinks'>,
  platform: Platform,
  { read, assertFor }: Pick<Parts, 'read' | 'assertFor'>,
  {
    ledger,
    metrics,
    follows = false,
  }: {
    readonly ledger: Ledger;
    readonly metrics: Metrics;
    /** Its config follows another: it carries once it is promoted. */
    readonly follows?: boolean;
  },
): Forwarder {
  const begins = follows ? sinceOf(ledger) : undefined;
  const sources = logsOf(ledger).flatMap((log, at) => sourceOf(log, begins && ((deadline) => begins(at, deadline))));
  const depsOf = (name: string): SinkDeps => {
    const entry = sinks[name];
    const terms = catalog.find(({ name: kind }: SinkPlugIn) => kind === entry?.kind)?.assertion?.(entry);
    const assert = terms && ((deadline: Deadline) => assertFor({ store: sinkLogin(name) }, terms, deadline));
    return { ...platform, name, read, ...(assert && { assert }) };
  };
  const { runtime, now, log } = platform;
  return openForwarder(sinks as Readonly<Record<string, SinkSettings>>, sources, {
    runtime,
    now,
    log,
    metrics,
    depsOf,
  });
}

/** Where the log of a shard begins that its promotion began; undefined: it was not promoted. The first look may be later. */
function sinceOf(ledger: Ledger) {
  return async (shard: number, deadline: Deadline): Promise<number | undefined> => {
    const { ends, done } = promotionIn(await textsOf(ledger).read(promotionName, deadline)) ?? {
      ends: [],
      done: false,
    };
    const { ended } = await headOf(logsOf(ledger)[shard]?.reader, deadline);
    const last = done ? ended.find(({ generation }) => generation === ends[shard]) : undefined;
    return last && last.base + last.size;
  };
}

/** A ledger as what is carried from it; none where its log is not here. */
function sourceOf({ origin, reader, texts }: Ledger, begin: SinkSource['begin']): SinkSource[] {
  if (reader === undefined || texts === undefined) return [];
  const source: SinkSource = {
    name: origin,
    texts,
    entries: reader.entries,
    ...(begin && { begin }),
    async end(deadline) {
      const { base, size } = await reader.head(deadline);
      return base + size;
    },
    async checkpoints(past, deadline) {
      const head = await reader.head(deadline);
      const logs = [...head.ended, head].filter(({ base, size }) => size > 0 && base + size > past);
      return Promise.all(
        logs.map(async ({ base, size, generation }) => ({
          end: base + size,
          log: originOf(origin, generation),
          size,
          note: generation === head.generation ? head.checkpoint : await reader.checkpoint(deadline, generation),
          prove: (old: number, until: Deadline) => readConsistencyProof(hashesIn(reader, generation, until), old, size),
        })),
      );
    },
  };
  return [source];
}
