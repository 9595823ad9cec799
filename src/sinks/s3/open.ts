import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { toUtf8 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { openAwsService } from '../../sessions/aws/service.ts';
import { recordOf, type SinkEntry } from '../entry.ts';
import { ndjson } from '../formats/index.ts';
import { step } from '../post.ts';
import type { S3Config } from '../s3.ts';
import type { Sink, SinkDeps } from '../sink.ts';

const dayMs = 86_400_000;

/** Puts objects that are not there yet: one that is there was put by us before, and is left as it is. */
export function openS3(config: S3Config, deps: SinkDeps): Sink {
  const { bucket, prefix = '', lock, format } = config;
  const aws = openAwsService('s3', config, deps, ({ signer: _, ...settings }) => {
    // Paths and queries are signed here, which the SDK's own signer knows how to.
    return new S3Client({
      ...settings,
      expectContinueHeader: false,
      followRegionRedirects: false,
      // A private server has no host for each bucket, and a dot in a bucket's name fits no certificate.
      forcePathStyle: config.endpoint !== undefined || bucket.includes('.'),
    });
  });

  async function put(key: string, type: string, text: string, deadline: Deadline): Promise<void> {
    const retention = lock && {
      ObjectLockMode: lock.mode === 'governance' ? ('GOVERNANCE' as const) : ('COMPLIANCE' as const),
      ObjectLockRetainUntilDate: new Date(deps.now() + lock.days * dayMs),
    };
    const command = new PutObjectCommand({
      Bucket: bucket,
      Key: `${prefix}${key}`,
      Body: toUtf8(text),
      ContentType: type,
      IfNoneMatch: '*',
      ...retention,
    });
    await aws.ask(step, deadline, (client, options) => client.send(command, options)).catch(unlessThere);
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

function unlessThere(error: unknown): void {
  if (!(error instanceof UpstreamError) || error.facts.status !== 412) throw error;
}
