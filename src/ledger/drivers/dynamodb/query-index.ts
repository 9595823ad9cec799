import type { Deadline } from '../../../lib/deadline.ts';
import { Refusal } from '../../../lib/refusal.ts';
import { HeadMoved, StoreFault } from '../../log-store.ts';
import type { IndexFilter, IndexRow, QueryIndex } from '../../query-index.ts';
import { unavailable } from '../../unavailable.ts';
import { hour, indexLookup } from './index-lookup.ts';
import { indexKeys, rowIn } from './index-rows.ts';
import { type LogKeys, padded } from './keys.ts';
import { absent } from './requests.ts';
import { type Key, numberOf, type Row } from './row.ts';
import type { Table } from './table.ts';

const tries = 5;

/**
 * The index in the same table: a row lies once among all, by its position, and once beside the others that share a member.
 * Rows are written before the mark says that they are there, so that a writer that died leaves nothing half done.
 */
export function dynamoQueryIndex(table: Table, keys: LogKeys): QueryIndex {
  const places = indexKeys(keys);
  const { mark, forgotten, hours, names, all, by, place, nameKey, copiesOf } = places;
  const lookUp = indexLookup(table, places);

  const marked = async (deadline: Deadline) => {
    const row = await table.get(mark, deadline);
    return { seen: row === undefined ? 0 : numberOf(row.seen), changes: row === undefined ? 0 : numberOf(row.f) };
  };

  async function forgottenIn(from: number, to: number, deadline: Deadline): Promise<Set<number>> {
    if (to <= from) return new Set();
    const rows = await table.query(forgotten, { from: padded(from), to: padded(to - 1) }, deadline);
    return new Set(rows.map(({ sk }) => Number(sk)));
  }

  async function add(rows: readonly IndexRow[], from: number, to: number, deadline: Deadline): Promise<boolean> {
    for (let attempt = 0; attempt < tries; attempt++) {
      const { seen, changes } = await marked(deadline);
      if (seen !== from) {
        // Rows of ours may have come after somebody else's, and after they were told to forget.
        if (attempt > 0) await forgetRows([...(await forgottenIn(from, to, deadline))], deadline, rows);
        return false;
      }
      const gone = await forgottenIn(from, to, deadline);
      // What we wrote before we heard of it, or somebody who died over it.
      await forgetRows([...gone], deadline, rows);
      const kept = rows.map((row) => (gone.has(row.index) ? { ...row, name: undefined, token: undefined } : row));
      await addHours(kept, deadline);
      const called = new Set(kept.map(({ name }) => name).filter(isListed));
      const copies = kept.map((row) => copiesOf(row as IndexRow));
      const put = (puts: readonly Row[]) =>
        table.writeAll(
          puts.map((one) => ({ put: one })),
          deadline,
        );
      // The rows among all first: what a writer leaves that dies in between is found by them.
      await put(copies.map(([one]) => one as Row));
      await put([
        ...[...called].map((name) => ({ ...nameKey(name), name })),
        ...copies.flatMap((more) => more.slice(1)),
      ]);
      if (await moveMark({ seen, changes }, { seen: to, changes }, deadline)) return true;
    }
    await forgetRows([...(await forgottenIn(from, to, deadline))], deadline, rows);
    return false;
  }

  /** True: nobody else had moved it. */
  async function moveMark(was: Marked, next: Marked, deadline: Deadline): Promise<boolean> {
    const values = { ':wasSeen': was.seen, ':wasChanges': was.changes };
    const when = {
      is: '(attribute_not_exists(pk) AND :wasSeen = :zero AND :wasChanges = :zero) OR (seen = :wasSeen AND f = :wasChanges)',
      values: { ...values, ':zero': 0 },
    };
    return table.transact([{ put: { ...mark, seen: next.seen, f: next.changes }, when }], deadline).then(
      () => true,
      (error) => {
        if (error instanceof HeadMoved) return false;
        throw error;
      },
    );
  }

  /** The first position that has a time of each hour. Rows come in order, so the first to say so is right. */
  async function addHours(
    rows: readonly { readonly time: number; readonly index: number }[],
    deadline: Deadline,
  ): Promise<void> {
    const firsts = new Map<number, number>();
    for (const { time, index } of rows) {
      const at = Math.floor(time / hour);
      firsts.set(at, Math.min(index, firsts.get(at) ?? index));
    }
    const known = await table.getAll(
      [...firsts.keys()].map((at) => ({ pk: hours, sk: padded(at) })),
      deadline,
    );
    const there = new Set(known.map(({ sk }) => Number(sk)));
    for (const [at, first] of firsts) {
      if (there.has(at)) continue;
      await table.transact([{ put: { pk: hours, sk: padded(at), first }, when: absent }], deadline).catch((error) => {
        if (!(error instanceof HeadMoved)) throw error;
      });
    }
  }

  async function find(
    filter: IndexFilter,
    before: number,
    limit: number,
    deadline: Deadline,
  ): Promise<readonly number[]> {
    const { seen } = await marked(deadline);
    return lookUp(filter, Math.min(before, seen), limit, deadline);
  }

  async function forget(positions: readonly number[], deadline: Deadline): Promise<void> {
    await table.writeAll(
      positions.map((index) => ({ put: { pk: forgotten, sk: padded(index) } })),
      deadline,
    );
    await tellAdders(deadline);
    await forgetRows(positions, deadline);
    // And whoever put a name there while it was taken away.
    await tellAdders(deadline);
  }

  /** Whoever is adding rows that were read before this begins again. */
  async function tellAdders(deadline: Deadline): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const { seen, changes } = await marked(deadline);
      if (await moveMark({ seen, changes }, { seen, changes: changes + 1 }, deadline)) return;
      if (attempt === tries) throw new StoreFault('contended');
    }
  }

  /**
   * Every copy of a row that has what was disclosed gives way to one that has not; `given` are rows that may have copies
   * of which the one among all does not know. That one goes last: killed anywhere, the next time finds the others by it.
   */
  async function forgetRows(
    positions: readonly number[],
    deadline: Deadline,
    given: readonly IndexRow[] = [],
  ): Promise<void> {
    if (positions.length === 0) return;
    const there = (await table.getAll(positions.map(place), deadline)).map(rowIn);
    const gone = new Set(positions);
    const called = new Set<string>();
    const removes = new Map<string, { readonly remove: Key }>();
    for (const { index, name, token } of [...there, ...given.filter((row) => gone.has(row.index))]) {
      if (isListed(name)) called.add(name);
      for (const pk of [
        ...(name === undefined ? [] : [by('name', name)]),
        ...(token === undefined ? [] : [by('token', token)]),
      ])
        removes.set(`${pk} ${index}`, { remove: { pk, sk: padded(index) } });
    }
    await table.writeAll([...removes.values()], deadline);
    for (const name of called)
      if ((await table.query(by('name', name), { limit: 1 }, deadline)).length === 0)
        await table.writeAll([{ remove: nameKey(name) }], deadline);
    const bare = there.map(({ name: _, token: __, ...row }) => copiesOf(row).map((put) => ({ put })));
    await table.writeAll(
      bare.flatMap((copies) => copies.slice(1)),
      deadline,
    );
    await table.writeAll(
      bare.flatMap((copies) => copies.slice(0, 1)),
      deadline,
    );
  }

  async function clear(deadline: Deadline): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const { seen, changes } = await marked(deadline);
      if (await moveMark({ seen, changes }, { seen: 0, changes: changes + 1 }, deadline)) break;
      if (attempt === tries) throw new StoreFault('contended');
    }
    const remove = (rows: readonly Key[]) =>
      table.writeAll(
        rows.map(({ pk, sk }) => ({ remove: { pk, sk } })),
        deadline,
      );
    for (let tile = 0; ; tile++) {
      const rows = await table.query(all(tile), {}, deadline);
      if (rows.length === 0) break;
      // The row among all goes last: it is what the others are found by.
      await remove(rows.map(rowIn).flatMap((row) => copiesOf(row).slice(1)));
      await remove(rows);
    }
    for (const pk of [hours, names]) await remove(await table.query(pk, {}, deadline));
  }

  return {
    seen: (deadline) => answered(async () => (await marked(deadline)).seen),
    add: (rows, from, to, deadline) => answered(() => add(rows, from, to, deadline)),
    find: (filter, before, limit, deadline) => answered(() => find(filter, before, limit, deadline)),
    forget: (positions, deadline) => answered(() => forget(positions, deadline)),
    clear: (deadline) => answered(() => clear(deadline)),
  };
}

/** No pattern fits an empty one, and no key is empty. */
const isListed = (name: string | undefined): name is string => name !== undefined && name !== '';

interface Marked {
  readonly seen: number;
  /** How often it was told to forget or emptied. */
  readonly changes: number;
}

async function answered<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw unavailable(error instanceof StoreFault ? error.reason : 'internal', error);
  }
}
