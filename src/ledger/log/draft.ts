import type { Change, Found, Head, Held, IssuanceState, StoredEntry } from '../log-store.ts';
import { issuanceOf, type LedgerRecord, type RecordText } from '../records/record.ts';

/** An entry that this commit will write; its leaf and tree come when the whole batch is known. */
export type Drafted = Omit<StoredEntry, 'leaf' | 'tree'>;

/** A map laid over another: writes stay on top until they are merged down. */
interface Layer<V> {
  get(key: string): V | undefined;
  readonly own: Map<string, V>;
}

function layer<V>(below: { get(key: string): V | undefined }): Layer<V> {
  const own = new Map<string, V>();
  return { own, get: (key) => (own.has(key) ? own.get(key) : below.get(key)) };
}

/** The log as it will be after what has been planned so far. */
export interface Draft {
  /** The position at which this draft begins. */
  readonly size: number;
  epoch: number;
  readonly added: Drafted[];
  readonly entries: Layer<Drafted | StoredEntry>;
  readonly issuances: Layer<IssuanceState>;
  readonly spent: Layer<number>;
  readonly seen: Layer<number>;
  /** Leases that count, by issuance; null for one that no longer does. */
  readonly held: Layer<Held | null>;
  /** How many live ones a holder has, by `holdingKey`. */
  readonly holding: Layer<number>;
  /** In force, by record id. */
  lockdowns: ReadonlyMap<string, RecordText & { readonly index: number }>;
}

export function over(below: Omit<Draft, 'added'>, size: number): Draft {
  return {
    size,
    epoch: below.epoch,
    added: [],
    entries: layer(below.entries),
    issuances: layer(below.issuances),
    spent: layer(below.spent),
    seen: layer(below.seen),
    held: layer(below.held),
    holding: layer(below.holding),
    lockdowns: below.lockdowns,
  };
}

export function merge(top: Draft, into: Draft): void {
  into.epoch = top.epoch;
  into.lockdowns = top.lockdowns;
  into.added.push(...top.added);
  for (const part of ['entries', 'issuances', 'spent', 'seen', 'held', 'holding'] as const) {
    const own: Map<string, unknown> = into[part].own;
    for (const [key, value] of top[part].own) own.set(key, value);
  }
}

export const inForceAt = (found: Found): Draft['lockdowns'] =>
  new Map(found.lockdowns.map((entry) => [entry.id, entry]));

export function base(found: Found): Omit<Draft, 'added'> {
  return {
    size: endOf(found.head),
    epoch: found.head.epoch,
    entries: layer(found.entries),
    issuances: layer(found.issuances),
    spent: layer(found.spent),
    seen: layer({ get: (name) => (found.seen.has(name) ? 0 : undefined) }),
    held: layer(found.held),
    holding: layer(found.holding),
    lockdowns: inForceAt(found),
  };
}

export function lockdownChanges(before: Draft['lockdowns'], after: Draft['lockdowns']): Change['lockdowns'] {
  const began = [...after.values()].filter(({ index }) => ![...before.values()].some((old) => old.index === index));
  const lifted = [...before].filter(([id]) => !after.has(id)).map(([, entry]) => entry);
  return [
    ...began.map(({ index }) => ({ index, lifted: false })),
    ...lifted.map(({ index }) => ({ index, lifted: true })),
  ];
}

/** The position behind the newest entry. */
export const endOf = ({ base, size }: Pick<Head, 'base' | 'size'>): number => base + size;

/** Adds an entry to the draft and gives its index. */
export function add(draft: Draft, text: RecordText, record: LedgerRecord): number {
  const index = draft.size + draft.added.length;
  const { id, type, writer } = record;
  const entry = { index, id, type, issuance: issuanceOf(record) ?? null, writer: writer.name, ...text };
  draft.added.push(entry);
  draft.entries.own.set(id, entry);
  return index;
}
