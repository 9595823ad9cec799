import { sha256Url } from '../../../lib/bytes.ts';
import type { RecordType } from '../../records/record.ts';
import { tileWidth } from '../../tree/tile.ts';
import type { Key } from './row.ts';

/** A number as text that sorts as it does. */
export const padded = (number: number): string => String(number).padStart(16, '0');

/** Where an entry lies: its position, and how many entries of its chunk come before it. */
export type Place = `${number}-${number}`;

export const placeOf = (position: number, first: number): Place => `${position}-${position - first}`;

export function readPlace(place: string): { readonly position: number; readonly first: number } {
  const [position = Number.NaN, before = Number.NaN] = place.split('-').map(Number);
  return { position, first: position - before };
}

/** Types of which there are few: each of their entries has an item by which they are listed. */
export const listedTypes: ReadonlySet<string> = new Set<RecordType>([
  'policy',
  'key',
  'lockdown',
  'roll',
  'erasure',
  'rotation',
  'store-write',
  'summary',
]);

/** A sort key of at most 1,024 bytes. */
const bounded = (text: string): string => (text.length <= 256 ? text : sha256Url(text));

/** The characters a ULID ends in. */
const idEnds = '0123456789abcdefghjkmnpqrstvwxyz';
const digestStarts = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/**
 * The keys of one log's items. Partitions are spread so that no few of them take all the load, and each can be read in
 * order: nothing is ever scanned for.
 */
export function logKeys(shard: number | undefined) {
  const log = shard === undefined ? 'log' : String(shard);
  const tile = (position: number): number => Math.floor(position / tileWidth);
  const partitions = {
    /** Entries of 256 positions, in chunks. */
    entries: (tileNumber: number) => `${log}/entries/${tileNumber}`,
    /** Their disclosures, which can be erased. */
    disclosures: (tileNumber: number) => `${log}/disclosures/${tileNumber}`,
    tree: (base: number, level: number) => `${log}/tree/${base}/${level}`,
    /** Intents without outcome, made leases that nobody ended, and what ended and is not known to be gone. */
    open: `${log}/open`,
    alive: `${log}/alive`,
    owed: `${log}/owed`,
    type: (type: string) => `${log}/type/${type}`,
    ids: [...idEnds].map((end) => `${log}/id/${end}`),
    spent: [...digestStarts].map((start) => `${log}/spent/${start}`),
    seen: `${log}/seen`,
    held: (digest: string) => `${log}/held/${digest.slice(0, 1)}`,
    index: `${log}/index`,
  };
  return {
    ...partitions,
    tile,
    head: { pk: `${log}/head`, sk: 'head' },
    probe: { pk: `${log}/probe`, sk: 'probe' },
    chunk: (first: number): Key => ({ pk: partitions.entries(tile(first)), sk: padded(first) }),
    disclosed: (first: number): Key => ({ pk: partitions.disclosures(tile(first)), sk: padded(first) }),
    /** Of a record and of an issuance: ids are unique in a log. */
    id: (id: string): Key => ({ pk: `${log}/id/${id.slice(-1)}`, sk: id }),
    spentKey: (key: string): Key => ({ pk: `${log}/spent/${key.slice(0, 1)}`, sk: key }),
    seenName: (name: string): Key => ({ pk: partitions.seen, sk: bounded(name) }),
    holder(credential: string, holder: string): Key {
      const sk = sha256Url(`${holder} ${credential}`);
      return { pk: partitions.held(sk), sk };
    },
    text: (name: string): Key => ({ pk: `${log}/text`, sk: bounded(name) }),
  };
}

export type LogKeys = ReturnType<typeof logKeys>;
