import { equalBytes, toUtf8 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { recordOf, type SinkEntry } from '../entry.ts';
import { ndjson } from '../formats/index.ts';
import { otherCheckpoint, shortHash } from '../other.ts';
import { step } from '../post.ts';
import type { S3Config } from '../s3.ts';
import type { Sink, SinkDeps } from '../sink.ts';
import { openBucket } from './bucket.ts';

/** More than any object of ours has, bytes; an isolate of a Worker has eight times as many for all it does. */
const mostBytes = 16 * 1024 * 1024;
/** It is there, and its bytes are not to be had: by whoever may only write, from cold storage, under a key of another. */
const withheld: ReadonlySet<string> = new Set(['denied', 'invalid', 'disabled']);

/**
 * Puts objects that are not there yet. One that is there was put by us before; or it is of another log under the same name,
 * which a database put back by hand may bring about: then ours goes beside it, under a name with its hash.
 */
export function openS3(config: S3Config, deps: SinkDeps): Sink {
  const { prefix = '', format } = config;
  const bucket = openBucket(config, deps, step, mostBytes);

  /** Undefined: nobody tells us. */
  async function holds(key: string, body: Uint8Array, deadline: Deadline): Promise<boolean | undefined> {
    try {
      return equalBytes(await bucket.read(key, deadline), body);
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      if (error.facts.reason === 'too_large') return false;
      if (withheld.has(error.fault)) return undefined;
      throw error;
    }
  }

  /** @returns whether it is known that another object has the name, and whether this one lies beside it only now */
  async function put(key: string, ending: string, type: string, text: string, deadline: Deadline) {
    const body = toUtf8(text);
    const named = `${prefix}${key}`;
    const own = { other: false, besides: false };
    if (await bucket.putNew(`${named}${ending}`, type, body, deadline)) return own;
    const same = await holds(`${named}${ending}`, body, deadline);
    if (same === true) return own;
    const besides = await bucket.putNew(`${named}-${shortHash(body)}${ending}`, type, body, deadline);
    return { other: same === false, besides };
  }

  async function deliverRun(run: readonly SinkEntry[], deadline: Deadline): Promise<void> {
    const key = keyOf(run);
    const { other, besides } = await put(key, '.ndjson', 'application/x-ndjson', ndjson(format, run), deadline);
    if (!other || !besides) return;
    const [{ log, leaf } = { log: '', leaf: 0 }] = run;
    deps.log('warn', 'sink_other_entries', { sink: deps.name, log, index: leaf, path: `${prefix}${key}.ndjson` });
  }

  return {
    async deliver(entries, deadline) {
      for (const run of runsOf(entries)) await deliverRun(run, deadline);
    },
    async publish({ log, size, note }, deadline) {
      const { other } = await put(`${log}/${size}`, '', 'text/plain; charset=utf-8', note, deadline);
      if (other) throw otherCheckpoint();
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

/** `YYYY/MM/DD/HH/<log>-<first>-<last>`, numbers in twelve digits, so that names sort as the log does. */
function keyOf(run: readonly SinkEntry[]): string {
  const [first, last] = [run[0], run.at(-1)] as [SinkEntry, SinkEntry];
  const hour = hourOf(first).replace(/[-T]/g, '/');
  return `${hour}/${first.log}-${digits(first.leaf)}-${digits(last.leaf)}`;
}

const digits = (leaf: number): string => String(leaf).padStart(12, '0');
