import { resolve } from 'node:path';
import type { Shelf } from '../ledger/archive.ts';
import { bucketIn } from '../ledger/going-on.ts';
import type { BucketConfig } from '../sinks/s3/bucket.ts';
import type { ConfigFile } from './config-file.ts';
import { exit, Failure } from './failure.ts';
import { shown, type Terminal } from './terminal.ts';

/** Where an archive lies: a folder, or a bucket and what its keys begin with. */
export type ArchivePlace =
  | { readonly folder: string }
  | { readonly bucket: BucketConfig; readonly prefix: string; readonly named: string };

interface Archive extends Pick<BucketConfig, 'endpoint' | 'lock'> {
  readonly to: string;
  readonly region?: string;
}

export const isBucket = (where: string): boolean => where.startsWith('s3:');

/**
 * Where `--archive` or `--tiles` says, or `ledger.archive` where it says nothing. Of a bucket the config's region, endpoint
 * and lock count; without these the AWS variables.
 *
 * @throws Failure
 */
export function archivePlace(where: string | true, file: ConfigFile | undefined, terminal: Terminal): ArchivePlace {
  const archive = file?.config.ledger.archive as Archive | undefined;
  const to = where === true ? archive?.to : where;
  if (to === undefined)
    throw new Failure(
      exit.usage,
      '--archive says no place',
      'a folder or s3://BUCKET/PREFIX, here or as ledger.archive',
    );
  if (!isBucket(to)) {
    const from = where === true ? (file?.folder ?? terminal.folder) : terminal.folder;
    return { folder: resolve(from, to) };
  }
  const at = bucketIn(to);
  if (at === undefined) throw new Failure(exit.usage, `${shown(to)} is no s3://BUCKET/PREFIX`);
  const { env } = terminal;
  const region = archive?.region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION;
  if (region === undefined)
    throw new Failure(exit.usage, 'the region of the bucket is not known', 'set AWS_REGION, or ledger.archive.region');
  const endpoint = archive?.endpoint ?? env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL;
  const origin = endpoint === undefined ? undefined : originIn(endpoint);
  const bucket = { bucket: at.bucket, region, endpoint: origin, lock: archive?.lock };
  return { bucket, prefix: at.prefix, named: `s3://${at.bucket}/${at.prefix}` };
}

/** @throws Failure for what is no URL of a server */
function originIn(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search === '')
    return url.origin;
  throw new Failure(exit.usage, 'AWS_ENDPOINT_URL_S3 is no URL of a server', 'such as http://127.0.0.1:9000');
}

/** Opens it to be written. No I/O before the first file. */
export async function openShelf(place: ArchivePlace, terminal: Terminal): Promise<Shelf> {
  if ('folder' in place) {
    const { folderShelf } = await import('./folder-shelf.ts');
    return folderShelf(place.folder);
  }
  const { bucketShelf } = await import('./bucket-shelf.ts');
  return bucketShelf(place, terminal);
}
