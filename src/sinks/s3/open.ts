import { toUtf8 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { recordOf, type SinkEntry } from '../entry.ts';
import { ndjson } from '../formats/index.ts';
import { step } from '../post.ts';
import type { S3Config } from '../s3.ts';
import type { Sink, SinkDeps } from '../sink.ts';
import { openBucket } from './bucket.ts';

/** Puts objects that are not there yet: one that is there was put by us before, and is left as it is. */
export function openS3(config: S3Config, deps: SinkDeps): Sink {
  const { prefix = '', format } = config;
  const bucket = openBucket(config, deps, step);

  async function put(key: string, type: string, text: string, deadline: Deadline): Promise<void> {
    await bucket.putNew(`${prefix}${key}`, type, toUtf8(text), deadline);
  }

  return {
    async deliver(entries, deadline) {
      for (const run of runsOf(entries)) await put(keyOf(run), 'application/x-ndjson', ndjson(format, run), deadline);
    },
    async publish({ log, size, note }, deadline) {
      await put(`${log}/${size}`, 'text/plain; charset=utf-8', note, deadline);
      return undefined;
    },
  };
}

const hourOf = (entry: SinkEntry): string => recordOf(entry).time.slice(0, 13);

/** Entries that belong in one object: of one log and one hour, one behind the other. */
function runsOf(entries: readonly SinkEntry[]): readonly SinkEntry[][] {
  const runs: SinkEntry[][] = [];
  for (const entry of entries) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    if (run !== undefined && last?.log === entry.log && hourOf(last) === hourOf(entry)) run.push(entry);
    else runs.push([entry]);
  }
  return runs;
}

/** `YYYY/MM/DD/HH/<log>-<first>-<last>.ndjson`, numbers in twelve digits, so that names sort as the log does. */
function keyOf(run: readonly SinkEntry[]): string {
  const [first, last] = [run[0], run.at(-1)] as [SinkEntry, SinkEntry];
  const hour = hourOf(first).replace(/[-T]/g, '/');
  return `${hour}/${first.log}-${digits(first.leaf)}-${digits(last.leaf)}.ndjson`;
}

const digits = (leaf: number): string => String(leaf).padStart(12, '0');
