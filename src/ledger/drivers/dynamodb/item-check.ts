import { sha256, toHex } from '../../../lib/bytes.ts';
import { type StoredEntry, StoreFault } from '../../log-store.ts';
import type { Finding } from '../../verify/verify.ts';
import { type LogKeys, listedTypes, readPlace } from './keys.ts';
import { placesOf, type Reads } from './reads.ts';
import { type Key, numberOf, type Row, textOf } from './row.ts';
import type { Table } from './table.ts';
import { leaseAttribute, marksIn } from './writes.ts';

/** Compares what was read of the entries, in order, with the items by which entries and issuances are found. */
export interface ItemCheck {
  /** What was read before is left out. */
  entries(read: readonly StoredEntry[]): void;
  /** Items of ids in their order; those that come again are left out. */
  ids(rows: readonly Row[]): void;
  /** An item that lies where nobody looks for it. */
  misplaced(key: Key): void;
  /** Rejects with StoreFault. */
  findings(): Promise<readonly Finding[]>;
}

/** Whose clock is ahead has seen a lease expire that here has not, and counts it no more; milliseconds. */
const skewMs = 60_000;

const isPlace = /^\d+-\d+$/;

const names = (key: Key): string => `${key.pk} ${key.sk}`;

/** What is added under a secret of this run has the same sum only where it is the same, in whatever order. */
function openSums() {
  const secret = toHex(crypto.getRandomValues(new Uint8Array(32)));
  const sums = { entries: 0n, ids: 0n };
  return {
    sums,
    add(to: keyof typeof sums, ...parts: readonly (string | number)[]): void {
      const digest = BigInt(`0x${toHex(sha256(`${secret} ${parts.join(' ')}`).subarray(0, 16))}`);
      sums[to] = BigInt.asUintN(128, sums[to] + digest);
    },
  };
}

export function openItemCheck(table: Table, keys: LogKeys, reads: Reads, now: () => number): ItemCheck {
  const found: Finding[] = [];
  const report = (what: string, message: string) => found.push({ code: 'items_differ', message: `${what} ${message}` });
  let begin: number | undefined;
  let next = 0;
  /** The last item of an id that was looked at, in the order in which they are read; no entry counts from then on. */
  let last = '';
  const listed = new Map<number, StoredEntry>();
  const marks = new Map<string, { readonly mark: Row; readonly id: string }>();
  const held: Row[] = [];
  const { sums, add } = openSums();

  async function checkMarks(): Promise<void> {
    for (const pk of [keys.open, keys.alive, keys.owed])
      for (const row of await table.query(pk)) {
        const known = marks.get(names(row));
        if (known !== undefined && isSame(known.mark, row)) marks.delete(names(row));
        else if (known === undefined && !(await isStill(row)))
          report(names(row), 'is of no issuance about which that is to be done');
      }
    // What is left was changed by somebody, or by a server meanwhile.
    for (const { mark, id } of marks.values()) {
      const there = await table.get(mark);
      const expected = marksIn((await table.get(keys.id(id))) ?? mark, keys).find((one) => names(one) === names(mark));
      if (expected !== undefined && (there === undefined || !isSame(expected, there)))
        report(names(mark), `does not say what is to be done about the issuance ${id}`);
    }
  }

  /** Whether a server made it since the items of ids were read, or has taken it away by now. */
  async function isStill(mark: Row): Promise<boolean> {
    const entry = await entryAt(textOf(mark.p));
    const row = entry?.issuance ? await table.get(keys.id(entry.issuance)) : undefined;
    const expected = row === undefined ? [] : marksIn(row, keys);
    return expected.some((one) => names(one) === names(mark)) || (await table.get(mark)) === undefined;
  }

  async function entryAt(place: string): Promise<StoredEntry | undefined> {
    try {
      return (await reads.placed([place])).get(readPlace(place).position);
    } catch (error) {
      if (error instanceof StoreFault && error.reason === 'entry_missing') return undefined;
      throw error;
    }
  }

  /** The few types whose entries are listed by items of their own. */
  async function checkLists(): Promise<void> {
    for (const type of listedTypes)
      for (const row of await table.query(keys.type(type))) {
        const position = Number(row.sk);
        if (position < (begin ?? 0) || position >= next) continue;
        const entry = listed.get(position);
        listed.delete(position);
        const there = await entryAt(textOf(row.p));
        const fits =
          isPlace.test(textOf(row.p)) &&
          entry?.type === type &&
          there?.index === position &&
          textOf(row.w) === entry.writer;
        if (!fits) report(names(row), 'does not list the entry that is there');
      }
    for (const { index, type } of listed.values()) report(keys.type(type), `does not list entry ${index}`);
  }

  async function checkHeld(): Promise<void> {
    for (const { sk } of held) {
      const row = await table.get(keys.id(sk));
      if (row?.hc === undefined || numberOf(row.hx) <= now() + skewMs) continue;
      const holder = await table.get(keys.holder(textOf(row.hc), textOf(row.hh)));
      const again = await table.get(keys.id(sk));
      if (again?.v === row.v && holder?.[leaseAttribute(sk)] !== row.hx)
        report(`the lease ${sk}`, 'does not count against its holder as its issuance says');
    }
  }

  return {
    entries(read) {
      for (const entry of last === '' ? read : []) {
        begin ??= entry.index;
        if (begin === entry.index) next = begin;
        if (entry.index !== next) continue;
        next++;
        if (listedTypes.has(entry.type)) listed.set(entry.index, entry);
        add('entries', 'id', entry.id, entry.index);
        if (entry.issuance !== null && entry.issuance !== entry.id)
          add('entries', 'about', entry.issuance, entry.index);
      }
    },
    ids(rows) {
      for (const row of rows) {
        if (names(row) <= last) continue;
        last = names(row);
        const own = row.p === undefined ? [] : [textOf(row.p)];
        for (const place of placesOf(row)) {
          const { position } = readPlace(place);
          if (!isPlace.test(place)) report(names(row), 'names no place of an entry');
          else if (position < next) add('ids', own.includes(place) ? 'id' : 'about', row.sk, position);
        }
        for (const mark of marksIn(row, keys)) marks.set(names(mark), { mark, id: row.sk });
        const { hc, hh, hx } = row;
        const parts = [hc, hh, hx].filter((part) => part !== undefined).length;
        if (parts === 3) held.push(row);
        else if (parts > 0) report(names(row), 'says only in part against whom a lease counts');
      }
    },
    misplaced: (key) => void report(names(key), 'lies where nobody looks for it'),
    async findings() {
      if (begin === 0 && sums.entries !== sums.ids)
        report(
          'the items of ids',
          'do not name the entries that are there: some are not found by their id or issuance',
        );
      await checkMarks();
      await checkLists();
      await checkHeld();
      return found;
    },
  };
}

const isSame = (one: Row, other: Row): boolean => one.w === other.w && one.p === other.p;
