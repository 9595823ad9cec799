import type { Shelf } from '../../ledger/going-on/archive.ts';
import { bucketIn } from '../../ledger/going-on.ts';
import { once } from '../../lib/once.ts';
import type { Platform } from '../../lib/platform.ts';
import type { SessionDeps } from '../../sessions/session.ts';
import type { BucketConfig } from '../../sinks/s3/bucket.ts';
import { type FolderPlace, folders } from './archive-folder.ts';

/** A bucket and what the keys in it begin with. */
export interface BucketPlace {
  readonly bucket: BucketConfig;
  readonly prefix: string;
  /** `s3://BUCKET/PREFIX`, as it is told. */
  readonly named: string;
}

/** Where an archive lies. */
export type ArchivePlace = FolderPlace | BucketPlace;

/** `ledger.archive`, as its schema accepted it. */
export interface ArchiveConfig extends Omit<BucketConfig, 'bucket' | 'region'> {
  readonly to: string;
  readonly region?: string;
}

/** Where the config says. @throws Error for what its schema does not accept */
export async function configuredPlace(
  { to, region, ...how }: ArchiveConfig,
  folder: string | undefined,
): Promise<ArchivePlace> {
  if (!to.startsWith('s3:')) return folders.place(to, folder);
  const at = bucketIn(to);
  if (at === undefined || region === undefined) throw new Error('no bucket, or no region of it');
  return bucketPlace(at, { region, ...how });
}

export const bucketPlace = (
  { bucket, prefix }: NonNullable<ReturnType<typeof bucketIn>>,
  how: Omit<BucketConfig, 'bucket'>,
): BucketPlace => ({ bucket: { bucket, ...how }, prefix, named: `s3://${bucket}/${prefix}` });

export type ShelfDeps = Platform & Pick<SessionDeps, 'assert'>;

/** Opens it to be written; its code is loaded, and anything asked, with the first file. */
export function openShelf(place: ArchivePlace, deps: ShelfDeps): Shelf {
  const open = once(async (): Promise<Shelf> => {
    if ('folder' in place) return folders.open(place, deps);
    const { bucketShelf } = await import('./bucket-shelf.ts');
    return bucketShelf(place, deps);
  });
  return {
    name: 'folder' in place ? place.folder : place.named,
    put: async (...file) => (await open()).put(...file),
    has: async (...file) => (await open()).has(...file),
  };
}
