import { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { type Shelf, ShelfTaken } from '../ledger/archive.ts';
import { equalBytes } from '../lib/bytes.ts';
import { type Deadline, deadlineIn } from '../lib/deadline.ts';
import { UpstreamError } from '../lib/upstream.ts';
import { openAwsService } from '../sessions/aws/service.ts';
import type { SdkTransport } from '../sessions/aws/transport.ts';
import { clientOf, openBucket } from '../sinks/s3/bucket.ts';
import type { ArchivePlace } from './archive-place.ts';
import { exit, Failure } from './failure.ts';
import type { ReadPublished } from './ledger-tiles.ts';
import { nodePlatform } from './node-platform.ts';
import type { Terminal } from './terminal.ts';

type BucketPlace = Extract<ArchivePlace, { readonly bucket: object }>;

/** An entry bundle has 256 entries of 64 KiB at most. */
const objectBytes = 17 * 1024 * 1024;
const readMs = 60_000;

/** A bucket as a shelf: what lies there is never overwritten, and what has the same bytes is passed over. @throws Failure */
export function bucketShelf(place: BucketPlace, terminal: Terminal): Shelf {
  const { bucket, prefix, named } = place;
  const objects = openBucket(bucket, nodePlatform(terminal, terminal.folder), 'archive');
  const get = getter(place, terminal);
  return {
    name: named,
    async put(path, bytes, deadline) {
      const key = `${prefix}${path}`;
      const type = path.endsWith('/checkpoint') ? 'text/plain; charset=utf-8' : 'application/octet-stream';
      try {
        if (await objects.putNew(key, type, bytes, deadline)) return;
        if (!equalBytes(await get(path, deadline), bytes)) throw new ShelfTaken(path);
      } catch (error) {
        throw asFailure(error, `${named} cannot be written`);
      }
    },
  };
}

/** Reads the files of an archive in a bucket. */
export function bucketReader(place: BucketPlace, terminal: Terminal): ReadPublished {
  const get = getter(place, terminal);
  return async (path) => {
    try {
      return await get(path, deadlineIn(readMs, terminal.now));
    } catch (error) {
      throw asFailure(error, `${path} cannot be read in ${place.named}`);
    }
  };
}

function getter({ bucket, prefix }: BucketPlace, terminal: Terminal) {
  const deps = nodePlatform(terminal, terminal.folder);
  const aws = openAwsService('s3', { ...bucket, answerBytes: objectBytes }, deps, (settings) =>
    clientOf(bucket, { ...settings, requestHandler: streaming(settings.requestHandler) }),
  );
  return async (path: string, deadline: Deadline): Promise<Uint8Array> => {
    const command = new GetObjectCommand({ Bucket: bucket.bucket, Key: `${prefix}${path}` });
    return aws.ask('archive', deadline, async (client, options) => {
      const { Body } = await client.send(command, options);
      return (await Body?.transformToByteArray()) ?? new Uint8Array();
    });
  };
}

/** On Node the SDK reads what it downloads from a stream, and from nothing else. */
const streaming = ({ handle }: SdkTransport): SdkTransport => ({
  async handle(request, options) {
    const { response } = await handle(request, options);
    const body = Readable.from([response.body]) as unknown as Uint8Array;
    return { response: { ...response, body } };
  },
});

/** What is not there is told otherwise than that nobody answers. */
function asFailure(error: unknown, what: string): unknown {
  if (!(error instanceof UpstreamError)) return error;
  const { code, reason, status } = error.facts;
  const away = error.fault === 'unreachable' || error.fault === 'throttled';
  return new Failure(away ? exit.unreachable : exit.negative, `${what} (${reason ?? code ?? status ?? error.fault})`);
}
