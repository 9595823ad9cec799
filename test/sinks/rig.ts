import { randomBytes } from 'node:crypto';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { createMetrics } from '../../src/lib/metrics.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import type { LogFacts } from '../../src/lib/platform.ts';
import type { ReadRef } from '../../src/lib/ref.ts';
import * as s from '../../src/lib/schema/index.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { SinkEntry } from '../../src/sinks/entry.ts';
import { sinks } from '../../src/sinks/index.ts';
import type { Sink, SinkDeps } from '../../src/sinks/sink.ts';
import type { SinkSource } from '../../src/sinks/source.ts';

export const soon = (ms = 10_000) => deadlineIn(ms, Date.now);

/** Secrets by name, whatever the store. */
export const readFrom =
  (secrets: Readonly<Record<string, string>>): ReadRef =>
  async ({ store, name }) => ({ value: new Secret(secrets[name] ?? 'none'), version: '1', store });

export function sinkDeps(own: Partial<SinkDeps> = {}): SinkDeps {
  return {
    name: 'here',
    runtime: 'node',
    now: Date.now,
    random: (bytes) => randomBytes(bytes),
    log: () => {},
    env: {},
    read: readFrom({}),
    ...nodeIo(own.folder ?? '.'),
    ...own,
  };
}

/** A sink as its entry in a config says, through the catalog. */
export async function openSink(
  entry: { kind: string } & Record<string, unknown>,
  deps: Partial<SinkDeps> = {},
): Promise<Sink> {
  const plugIn = sinks.find(({ name }) => name === entry.kind);
  if (plugIn === undefined) throw new Error(`no sink ${entry.kind}`);
  return (await plugIn.load()).open(s.parse(plugIn.schema, entry), sinkDeps(deps));
}

/** A clock that is set by hand. */
export function handClock(at = Date.parse('2026-11-22T12:00:00Z')) {
  const clock = { at, now: () => clock.at };
  return clock;
}

export interface MemorySource extends SinkSource {
  readonly all: SinkEntry[];
  readonly kept: Map<string, string>;
  /** Appends entries of this time. */
  grow(count: number, at: number): void;
}

/** A ledger in memory whose texts are compared and set. */
export function memorySource(name = 'pass.example.com/ledger'): MemorySource {
  const all: SinkEntry[] = [];
  const kept = new Map<string, string>();
  return {
    name,
    all,
    kept,
    grow(count, at) {
      for (let n = 0; n < count; n++) all.push(entryAt(name, all.length, at));
    },
    end: async () => all.length,
    entries: async (from, to) => all.slice(from, to),
    checkpoints: async (past) =>
      all.length <= past
        ? []
        : [
            {
              log: name,
              size: all.length,
              end: all.length,
              note: `${name}\n${all.length}\nAAAA\n\n\u2014 ${name} BBBB\n`,
              prove: async () => [],
            },
          ],
    texts: {
      read: async (key) => kept.get(key),
      async write(key, was, text) {
        if (kept.get(key) !== was) return false;
        if (text === null) kept.delete(key);
        else kept.set(key, text);
        return true;
      },
    },
  };
}

function entryAt(log: string, index: number, at: number): SinkEntry {
  const id = index
    .toString(32)
    .padStart(26, '0')
    .replace(/[ilou]/g, 'z');
  const writer = { name: 'https://pass.example.com', instance: 'node-1', version: '0.6.0' };
  const type = index % 3 === 0 ? 'denial' : 'issuance';
  const record = JSON.stringify({
    count: 1,
    credential: 'a',
    id,
    reason: 'x',
    time: new Date(at).toISOString(),
    type,
    v: 1,
    writer,
  });
  return { log, leaf: index, index, record, disclosure: 'WyJzIix7Im5hbWUiOiJjaTphIn1d' };
}

/** What a courier tells. */
export function told() {
  const metrics = createMetrics();
  const lines: { level: string; event: string; facts: LogFacts }[] = [];
  return {
    metrics,
    lines,
    log: (level: string, event: string, facts: LogFacts = {}) => void lines.push({ level, event, facts }),
  };
}
