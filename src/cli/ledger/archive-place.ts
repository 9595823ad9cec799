import { resolve } from 'node:path';
import {
  type ArchiveConfig,
  type ArchivePlace,
  type BucketPlace,
  bucketPlace,
  configuredPlace,
  openShelf as openPlace,
  type ShelfDeps,
} from '../../config/parts/archive-place.ts';
import { type Shelf, ShelfTaken } from '../../ledger/going-on/archive.ts';
import { bucketIn } from '../../ledger/going-on.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import type { ConfigFile } from '../config-file.ts';
import { exit, Failure, NotThere } from '../failure.ts';
import { nodePlatform } from '../node-platform.ts';
import { shown, type Terminal } from '../terminal.ts';
import type { ReadPublished } from './tiles.ts';

const readMs = 60_000;

export const isBucket = (where: string): boolean => where.startsWith('s3:');

/** `ledger.archive` of a config, where it has one. */
export async function placeOfConfig({ config, folder }: ConfigFile): Promise<ArchivePlace | undefined> {
  const archive = config.ledger.archive as ArchiveConfig | undefined;
  return archive && configuredPlace(archive, folder);
}

/**
 * Where a command line says: of a bucket all else in the config's counts, and without region or endpoint there the AWS variables.
 *
 * @throws Failure
 */
export function archivePlace(to: string, file: ConfigFile | undefined, terminal: Terminal): ArchivePlace {
  if (!isBucket(to)) return { folder: resolve(terminal.folder, to) };
  const at = bucketIn(to);
  if (at === undefined) throw new Failure(exit.usage, `${shown(to)} is no s3://BUCKET/PREFIX`);
  return bucketAt(at, file, terminal);
}

function bucketAt(
  at: NonNullable<ReturnType<typeof bucketIn>>,
  file: ConfigFile | undefined,
  { env }: Terminal,
): BucketPlace {
  const { to: _, ...archive } = (file?.config.ledger.archive as ArchiveConfig | undefined) ?? { to: '' };
  const region = archive.region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION;
  if (region === undefined)
    throw new Failure(exit.usage, 'the region of the bucket is not known', 'set AWS_REGION, or ledger.archive.region');
  const endpoint = archive.endpoint ?? env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL;
  return bucketPlace(at, { ...archive, region, endpoint: endpoint && originIn(endpoint) });
}

/** @throws Failure for what is no URL of a server */
function originIn(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search === '')
    return url.origin;
  throw new Failure(exit.usage, 'AWS_ENDPOINT_URL_S3 is no URL of a server', 'such as http://127.0.0.1:9000');
}

/** Opens it to be written; what it cannot do is a Failure. No I/O before the first file. */
export function openShelf(place: ArchivePlace, terminal: Terminal, assert?: ShelfDeps['assert']): Shelf {
  const shelf = openPlace(place, { ...nodePlatform(terminal, terminal.folder), ...(assert && { assert }) });
  return {
    name: shelf.name,
    put: (...file) =>
      shelf.put(...file).catch((error) => {
        throw asFailure(error, `${shown(shelf.name)} cannot be written`, `${shown(shelf.name)} already`);
      }),
    has: (...file) =>
      shelf.has(...file).catch((error) => {
        throw asFailure(error, `${shown(shelf.name)} cannot be read`);
      }),
  };
}

/** Reads the files of an archive in a bucket. */
export async function bucketReader(place: BucketPlace, terminal: Terminal): Promise<ReadPublished> {
  const { openGetter } = await import('../../config/parts/bucket-shelf.ts');
  const get = openGetter(place, nodePlatform(terminal, terminal.folder));
  return (path) =>
    get(path, deadlineIn(readMs, terminal.now)).catch((error) => {
      const what = `${path} cannot be read in ${place.named}`;
      const failure = asFailure(error, what);
      if (!(error instanceof UpstreamError) || !(failure instanceof Failure)) throw failure;
      if (error.fault === 'absent') throw new NotThere(failure.message, failure.hint);
      throw error.fault === 'denied' ? new Failure(failure.code, failure.message, failure.hint ?? mayList) : failure;
    });
}

const mayList =
  's3:ListBucket lets S3 tell what is not there from what may not be read; what lies in cold storage is to be had back first';

/** What is not there is told otherwise than that nobody answers. */
function asFailure(error: unknown, what: string, where = ''): unknown {
  if (error instanceof ShelfTaken)
    return new Failure(
      exit.negative,
      `${shown(error.path)} is in ${where}, with other bytes: it is of another log`,
      'nothing is overwritten; take another folder or prefix',
    );
  if (!(error instanceof UpstreamError)) return error;
  const { code, reason, status } = error.facts;
  const away = error.fault === 'unreachable' || error.fault === 'throttled';
  return new Failure(
    away ? exit.unreachable : exit.negative,
    `${what} (${reason ?? code ?? status ?? error.fault})`,
    hints[reason ?? ''],
  );
}

const hints: Readonly<Record<string, string>> = {
  no_folder: 'the folder is made, those above it are not: is a disk not mounted?',
  no_ambient_identity:
    'run it where the platform has an identity of AWS, or with session credentials in the environment',
  long_lived_key: 'a key without a session token is never taken',
};
