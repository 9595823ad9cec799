import type { Deadline } from '../../../lib/deadline.ts';
import { endOf } from '../../log/draft.ts';
import {
  type Found,
  type Head,
  HeadMoved,
  type Held,
  holdingKey,
  type LogStore,
  type StoredEntry,
  StoreFault,
  type Wanted,
} from '../../log-store.ts';
import { openContention } from './contention.ts';
import { isRefused, onlyFirstMoved } from './faults.ts';
import { type LogKeys, padded, readPlace } from './keys.ts';
import { headOf, isHead, placesOf, readLog, stateOf } from './reads.ts';
import { absent } from './requests.ts';
import { room } from './room.ts';
import { numberOf, type Row, textOf, textsOf } from './row.ts';
import { inParts, type Table } from './table.ts';
import { livingIn, type View, writesOf } from './writes.ts';

/** Of a text that others have in hand. */
const mostTries = 5;
/** How often it is looked whether what others wrote goes on from what is known, milliseconds: no table is put back faster. */
const pastMs = 5_000;

/** One log's items in the table. */
export function dynamoLogStore(table: Table, keys: LogKeys, now: () => number): LogStore {
  const reads = readLog(table, keys);
  /** What the change that comes next was planned on. */
  let view: View | undefined;
  /** What was looked up for a commit that is tried until its deadline; the head apart, it holds until that is refused. */
  let kept: { readonly deadline: Deadline; readonly rows: readonly Row[] } | undefined;
  /** Until when the commit that is under way is tried. */
  let tried: Deadline | undefined;
  const contention = openContention();
  let lookedBackAt = Number.NEGATIVE_INFINITY;
  /** Lockdowns in force by position; what they say does not change. */
  const lockdowns = new Map<number, StoredEntry>();

  /**
   * What is read is not of one moment: the parts of a transaction become visible one after the other. So a commit is on
   * condition of the head and of each item that it writes or that was counted, as they were read, and stands on exactly
   * that. An answer without commit has seen all that was acknowledged before it was asked for; of what was written
   * meanwhile it may have seen some, and where that lies beyond the head that was read, it is read again.
   */
  async function find(wanted: Wanted, deadline: Deadline): Promise<Found> {
    const looked = [
      ...wanted.ids.map(keys.id),
      ...wanted.issuances.map(keys.id),
      ...wanted.spent.map(keys.spentKey),
      ...wanted.seen.map(keys.seenName),
      ...wanted.holders.map(({ credential, holder }) => keys.holder(credential, holder)),
    ];
    if (tried !== deadline) contention.begin();
    tried = deadline;
    const again = kept?.deadline === deadline;
    const known = again ? kept?.rows : undefined;
    const rows = known ?? (await table.getAll([keys.head, ...looked], deadline));
    const row = known === undefined ? rows.find(({ pk }) => pk === keys.head.pk) : await reads.headRow(deadline);
    if (row === undefined) throw new StoreFault('head_missing');
    kept = { deadline, rows };
    try {
      await lookBack(row, wanted.known, deadline);
      return await foundIn(headOf(row), row, rows, wanted, deadline);
    } catch (error) {
      kept = undefined;
      throw error;
    }
  }

  /**
   * Whether a head that others wrote is of a log that has what this one was answered: a table that was put back from a backup
   * may have been gone on with. @throws StoreFault past_changed
   */
  async function lookBack(row: Row, known: Head | undefined, deadline: Deadline): Promise<void> {
    if (known === undefined || known.size === 0 || isHead(row, known) || endOf(headOf(row)) < endOf(known)) return;
    if (Math.abs(now() - lookedBackAt) < pastMs) return;
    if ((await reads.checkpoint(endOf(known), deadline)) !== known.checkpoint) throw new StoreFault('past_changed');
    lookedBackAt = now();
  }

  async function foundIn(
    head: Head,
    headRow: Row,
    rows: readonly Row[],
    wanted: Wanted,
    deadline: Deadline,
  ): Promise<Found> {
    const of = (partitions: readonly string[]) => rows.filter(({ pk }) => partitions.includes(pk));
    const ids = new Map(of(keys.ids).map((row) => [row.sk, row]));
    const spent = of(keys.spent).map((row): [string, number] => [row.sk, numberOf(row.p)]);
    const seen = of([keys.seen]);
    const held = new Map(rows.filter(({ pk }) => pk.startsWith(keys.held(''))).map((row) => [row.sk, row]));
    const places = [...ids.values()].flatMap(placesOf);
    const positions = [
      ...places.map((place) => readPlace(place).position),
      ...spent.map(([, index]) => index),
      ...seen.map(({ p }) => numberOf(p)),
    ];
    // Written after the head that was read.
    if (positions.some((position) => position >= endOf(head))) throw new HeadMoved();
    const own = [...ids.values()].filter(({ p }) => p !== undefined);
    const entries = await reads.placed(
      own.map(({ p }) => textOf(p)),
      deadline,
    );
    view = {
      head: headRow,
      ids,
      holders: new Map(
        wanted.holders.map(({ credential, holder }) => {
          const { sk } = keys.holder(credential, holder);
          return [sk, held.get(sk) ?? null];
        }),
      ),
    };
    return {
      head,
      entries: new Map([...entries.values()].map((entry) => [entry.id, entry])),
      issuances: new Map(
        [...ids.values()].flatMap((row) => {
          const state = stateOf(row);
          return state === undefined ? [] : [[row.sk, state] as const];
        }),
      ),
      spent: new Map(spent),
      seen: new Set(seen.map(({ x }) => textOf(x))),
      lockdowns: await inForce(headRow, deadline),
      held: new Map([...ids.values()].flatMap((row) => (row.hc === undefined ? [] : [[row.sk, heldOf(row)] as const]))),
      holding: new Map(
        wanted.holders.map((one) => {
          const row = held.get(keys.holder(one.credential, one.holder).sk);
          return [holdingKey(one), row === undefined ? 0 : livingIn(row, wanted.now)];
        }),
      ),
    };
  }

  async function inForce({ locks }: Row, deadline: Deadline): Promise<StoredEntry[]> {
    const places = textsOf(locks);
    const missing = places.filter((place) => !lockdowns.has(readPlace(place).position));
    if (missing.length > 0)
      for (const [position, entry] of await reads.placed(missing, deadline)) lockdowns.set(position, entry);
    return places.map((place) => lockdowns.get(readPlace(place).position) as StoredEntry);
  }

  return {
    ...reads,
    room,
    spread: contention.spread,
    find: (wanted, deadline) =>
      find(wanted, deadline).catch((error) => {
        const late = tried === deadline && contention.losing && deadline.left() === 0;
        return harmless(error, late ? 'contended' : undefined);
      }),
    async commit(change, deadline) {
      if (view === undefined || !isHead(view.head, change.from)) throw new HeadMoved();
      if (deadline.left() < contention.pace)
        throw new StoreFault(contention.losing ? 'contended' : 'slow', { harmless: true });
      const began = now();
      try {
        await table.transact(writesOf(change, view, keys), deadline);
      } catch (error) {
        if (!(error instanceof HeadMoved && onlyFirstMoved(error))) kept = undefined;
        if (error instanceof HeadMoved) contention.lost(now() - began);
        throw error;
      }
      contention.won(now() - began);
      kept = undefined;
    },
    async reopen() {
      view = undefined;
      kept = undefined;
    },
    async probe(deadline) {
      await table.update({ update: keys.probe, set: 'SET x = :now', values: { ':now': now() } }, deadline);
    },
    async erase(positions, deadline) {
      const held = await inParts(positions, 1, ([position = 0]) => disclosureKey(position, deadline));
      const bySk = new Map<string, number[]>();
      for (const [at, sk] of held.entries())
        if (sk !== undefined) bySk.set(sk, [...(bySk.get(sk) ?? []), positions[at] as number]);
      for (const [sk, some] of bySk) {
        const names = Object.fromEntries(some.map((position) => [`#d${position}`, `d${position}`]));
        const set = `REMOVE ${Object.keys(names).join()}`;
        await table.update({ update: keys.disclosed(Number(sk)), set, names, values: {} }, deadline);
      }
    },
    async keepText(name, was, text, deadline) {
      const key = keys.text(name);
      if (was === undefined && text === null) return (await table.get(key, deadline)) === undefined;
      const when = was === undefined ? absent : { is: 'x = :was', values: { ':was': was } };
      for (let time = 1; ; time++) {
        // A transaction, so that one whose answer was lost is not taken for somebody else's.
        try {
          await table.transact([text === null ? { remove: key, when } : { put: { ...key, x: text }, when }], deadline);
          return true;
        } catch (error) {
          if (!(error instanceof HeadMoved)) throw error;
          if (isRefused(error)) return false;
          if (time === mostTries) throw new StoreFault('contended', { cause: error, harmless: true });
        }
        await new Promise((resolve) => setTimeout(resolve, contention.pace * time));
      }
    },
    close: async () => {},
  };

  /** The item that has this position's disclosure, if any has. */
  async function disclosureKey(position: number, deadline: Deadline): Promise<string | undefined> {
    const range = { to: padded(position), newestFirst: true, limit: 1, attributes: ['sk', `d${position}`] };
    const [row] = await table.query(keys.disclosures(keys.tile(position)), range, deadline);
    return row?.[`d${position}`] === undefined ? undefined : row.sk;
  }
}

/** What only looked has left nothing in doubt, unless it saw that the table is another. */
function harmless(error: unknown, reason?: string): never {
  if (error instanceof StoreFault && error.reason !== 'past_changed')
    throw new StoreFault(reason ?? error.reason, { cause: error.cause, harmless: true });
  throw error;
}

const heldOf = ({ hc, hh, hx }: Row): Held => ({ credential: textOf(hc), holder: textOf(hh), expiresAt: numberOf(hx) });
