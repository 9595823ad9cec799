import { type Shelf, ShelfTaken } from '../../ledger/going-on/archive.ts';
import { equalBytes } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import type { SessionDeps } from '../../sessions/session.ts';
import { openBucket } from '../../sinks/s3/bucket.ts';
import type { BucketPlace } from './archive-place.ts';

const step = 'archive';
/** An entry bundle has 256 entries of 64 KiB at most. */
const objectBytes = 17 * 1024 * 1024;

/** A bucket as a shelf: what lies there is never overwritten, and what has the same bytes is passed over. */
export function bucketShelf(place: BucketPlace, deps: SessionDeps): Shelf {
  const { bucket, prefix, named } = place;
  const objects = openBucket(bucket, deps, step, objectBytes);
  const get = (path: string, deadline: Deadline) => objects.read(`${prefix}${path}`, deadline);

  async function putNew(path: string, bytes: Uint8Array, deadline: Deadline): Promise<boolean> {
    const type = path.endsWith('/checkpoint') ? 'text/plain; charset=utf-8' : 'application/octet-stream';
    const put = () => objects.putNew(`${prefix}${path}`, type, bytes, deadline);
    return put().catch((error) => {
      // Another is putting it at this moment; S3 says neither who was first nor that one was, and asks for it again.
      if (error instanceof UpstreamError && error.facts.status === 409) return put();
      throw error;
    });
  }

  return {
    name: named,
    async put(path, bytes, deadline) {
      if (await putNew(path, bytes, deadline)) return;
      if (!equalBytes(await get(path, deadline), bytes)) throw new ShelfTaken(path);
    },
    async has(path, bytes, deadline) {
      try {
        return equalBytes(await get(path, deadline), bytes);
      } catch (error) {
        if (!(error instanceof UpstreamError)) throw error;
        if (error.fault === 'absent') return false;
        // From cold storage, or where nobody may list: then what is not there is refused as well.
        if (error.fault === 'denied') return undefined;
        throw error;
      }
    },
  };
}

/** Reads the files of an archive in a bucket. @throws UpstreamError */
export function openGetter({ bucket, prefix }: BucketPlace, deps: SessionDeps) {
  const { read } = openBucket(bucket, deps, step, objectBytes);
  return (path: string, deadline: Deadline): Promise<Uint8Array> => read(`${prefix}${path}`, deadline);
}
