import { Refusal } from '../../lib/refusal.ts';
import type { Change, Found, Head, Wanted } from '../log-store.ts';
import { issuanceOf } from '../records/record.ts';
import { type Ask, isPolicyName, type Plan } from './plan.ts';

/** Batches that are looked up after one of which something was not new. */
const carefulBatches = 64;
/** Names that are remembered, of each sort. */
const mostNames = 10_000;

/** A view that nobody looked up, and what the commit has to find out. */
export interface Assumption {
  readonly found: Found;
  readonly assumed: NonNullable<Change['assumed']>;
}

/** What a log takes for granted where the commit itself finds out whether it is so: that a new record is about new things. */
export interface Assuming {
  /** Undefined where something in these asks is likely to be there already, or is not known. */
  of(head: Head, asks: readonly Ask[], wanted: Wanted): Assumption | undefined;
  /** It is durable, planned on what was found, and the head is this one. */
  landed(found: Found, planned: Plan, head: Head): void;
  /** Something was there, or another process moved the head. */
  missed(): void;
  /** The store failed: what was known of it may be of another. */
  forget(): void;
}

export function openAssuming(): Assuming {
  /** Policies that have their record; a key is named by its own record alone, and that is looked up. */
  const seen = new Set<string>();
  /** Issuances that have an intent, and no outcome yet. */
  const open = new Set<string>();
  /** The lockdowns in force, as they were last looked up, and under which epoch: only with that one they change. */
  let locked: Pick<Found, 'lockdowns'> & Pick<Head, 'epoch'> = { epoch: 0, lockdowns: [] };
  /** The head that this log itself wrote last. */
  let own: Head | undefined;
  let careful = 0;

  function forget(): void {
    seen.clear();
    locked = { epoch: 0, lockdowns: [] };
  }

  const isNew = ({ entries, keys, copied }: Ask): boolean =>
    entries.length > 0 &&
    keys === undefined &&
    copied !== true &&
    entries.every(({ record }) => {
      const id = issuanceOf(record);
      return id === undefined || ((record.type === 'intent' || record.type === 'issuance') && !open.has(id));
    });

  return {
    of(head, asks, { ids, issuances, spent, seen: names, holders }) {
      if (head !== own) forget();
      if (careful > 0) {
        careful--;
        return undefined;
      }
      // Lockdowns that are not known, or leases to be counted: there is something to be read in any case.
      if (head.epoch !== locked.epoch || holders.length > 0) return undefined;
      if (!names.every((name) => seen.has(name)) || !asks.every(isNew)) return undefined;
      const nothing = { entries: new Map(), issuances: new Map(), spent: new Map(), held: new Map() };
      const found = { head, ...nothing, holding: new Map(), seen: new Set(names), lockdowns: locked.lockdowns };
      return { found, assumed: { checkpoint: head.checkpoint, ids, issuances, spent } };
    },
    landed(found, planned, head) {
      // What another process wrote, or left, is looked up anew.
      if (found.head !== own) forget();
      own = head;
      locked = { epoch: found.head.epoch, lockdowns: found.lockdowns };
      for (const name of [...found.seen, ...planned.seen.map(({ name }) => name)])
        if (isPolicyName(name)) remember(seen, name);
      for (const { id, outcome } of planned.issuances)
        if (outcome === null) remember(open, id);
        else open.delete(id);
    },
    missed() {
      careful = carefulBatches;
    },
    forget,
  };
}

/** Whoever is refused is so by what was looked up, never by what was assumed. */
export const isRefusing = ({ outcomes }: Plan): boolean => outcomes.some((outcome) => outcome instanceof Refusal);

function remember(names: Set<string>, name: string): void {
  names.add(name);
  if (names.size > mostNames) names.delete(names.values().next().value as string);
}
