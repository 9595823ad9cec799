import { sha256Url } from '../../../lib/bytes.ts';
import type { IndexRow } from '../../query-index.ts';
import { type LogKeys, padded } from './keys.ts';
import type { Key, Row } from './row.ts';

/** Members by whose value rows are kept together, those with the fewest rows to a value first. */
export const kept = [
  'token',
  'fingerprint',
  'account',
  'issuance',
  'trace',
  'name',
  'grant',
  'credential',
  'store',
  'reason',
  'type',
] as const;
type Kept = (typeof kept)[number];

/** Nearly every row has one of these: they are found among all. */
export const usualTypes: ReadonlySet<string> = new Set(['issuance', 'intent']);

/** Rows among all that lie in one partition. */
export const tileRows = 256;

/** Where the rows of an index lie. */
export interface IndexKeys {
  readonly mark: Key;
  readonly forgotten: string;
  readonly hours: string;
  readonly names: string;
  /** The partition of a tile of all rows. */
  all(tile: number): string;
  /** The partition of all rows that have this value. */
  by(member: Kept, value: string): string;
  /** A row among all. */
  place(index: number): Key;
  nameKey(name: string): Key;
  /** A row as it is written, the one among all first. */
  copiesOf(row: IndexRow): Row[];
}

export function indexKeys({ index: root }: LogKeys): IndexKeys {
  const names = `${root}/names`;
  const all = (tile: number): string => `${root}/all/${tile}`;
  // What is traced is looked up as an account too, and may be a secret: keys stand in the logs of others (CloudTrail).
  const by = (member: Kept, value: string): string =>
    `${root}/${member}/${member === 'account' ? sha256Url(value) : bounded(value)}`;
  const place = (index: number): Key => ({ pk: all(Math.floor(index / tileRows)), sk: padded(index) });

  const partitionsOf = (row: IndexRow): string[] =>
    kept.flatMap((member) => {
      const value = row[member];
      return value === undefined || (member === 'type' && usualTypes.has(value)) ? [] : [by(member, value)];
    });

  return {
    mark: { pk: root, sk: 'mark' },
    forgotten: `${root}/forgotten`,
    hours: `${root}/hours`,
    names,
    all,
    by,
    place,
    nameKey: (name) => ({ pk: names, sk: bounded(name) }),
    copiesOf(row) {
      const members = defined(row);
      const { pk, sk } = place(row.index);
      return [pk, ...partitionsOf(row)].map((one) => ({ ...members, pk: one, sk }) as unknown as Row);
    },
  };
}

export const boundedChars = 200;

/** At most 1,024 bytes, and beginning as the text does. */
const bounded = (text: string): string =>
  text.length <= boundedChars ? text : `${text.slice(0, boundedChars)}#${sha256Url(text)}`;

const defined = (row: IndexRow): IndexRow =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as unknown as IndexRow;

export const rowIn = ({ pk: _, sk: __, ...row }: Row): IndexRow => row as unknown as IndexRow;
