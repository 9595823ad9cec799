import { concat } from '../../../lib/bytes.ts';
import { type Change, type Head, type IssuanceState, type StoredEntry, StoreFault, TooMuch } from '../../log-store.ts';
import { tileWidth } from '../../tree/tile.ts';
import { type LogKeys, listedTypes, type Place, padded, placeOf, readPlace } from './keys.ts';
import { headValues, placesOf, stateOf } from './reads.ts';
import { absent, type Condition, type Write } from './requests.ts';
import { type Key, numberOf, type Row, textOf, textsOf, type Value } from './row.ts';

/** What was read before a change was planned. */
export interface View {
  readonly head: Row;
  /** The items of the ids that were looked up, those that exist. */
  readonly ids: ReadonlyMap<string, Row>;
  /** The items of holders, by sort key; null for one that was looked up and is not there. */
  readonly holders: ReadonlyMap<string, Row | null>;
}

/** Bytes of text in one item, of the 400 KB it may have. */
const itemBytes = 300_000;

/**
 * Records about one issuance, whose places are in its item: a lease may be renewed as often. Beyond that there is room for
 * what ends it, and not for more of the same: else whoever renews it without end could not be revoked.
 */
const mostPlaces = 5_000;

interface Chunk {
  readonly first: number;
  readonly entries: StoredEntry[];
  readonly tree: number;
  bytes: number;
}

/** The writes of one commit, to be done all or none. */
export function writesOf(change: Change, view: View, keys: LogKeys): Write[] {
  const chunks = chunksOf(change.entries);
  const places = new Map(
    chunks.flatMap(({ first, entries }) => entries.map(({ index }) => [index, placeOf(index, first)] as const)),
  );
  const at = (index: number): Place => places.get(index) as Place;
  return [
    headWrite(change, view.head, at, keys),
    ...chunkWrites(chunks, change, keys),
    ...idWrites(change, view, at, keys),
    ...holderWrites(change, view, keys),
    ...change.spent.map(({ key, index }) => ({ put: { ...keys.spentKey(key), p: index }, when: absent })),
    ...change.seen.map(({ name, index }) => ({ put: { ...keys.seenName(name), x: name, p: index }, when: absent })),
    ...change.subtrees.map(({ base, level, index, hash }) => ({
      put: { pk: keys.tree(base, level), sk: padded(index), h: hash },
    })),
    ...change.entries
      .filter(({ type }) => listedTypes.has(type))
      .map(({ type, index, writer }) => ({
        put: { pk: keys.type(type), sk: padded(index), p: at(index), w: writer },
      })),
  ];
}

function headWrite(change: Change, was: Row, at: (index: number) => Place, { head: key }: LogKeys): Write {
  const lifted = new Set(change.lockdowns.filter((one) => one.lifted).map(({ index }) => index));
  const began = change.lockdowns.filter((one) => !one.lifted).map(({ index }) => at(index));
  const locks = textsOf(was.locks).filter((place) => !lifted.has(readPlace(place).position));
  const next: Readonly<Record<string, Value>> = { ...headValues(change.head), locks: [...locks, ...began] };
  const names = Object.keys(next);
  const { base, size, root } = change.from;
  return {
    update: key,
    set: `SET ${names.map((name) => `#${name} = :${name}`).join()}`,
    names: Object.fromEntries(names.map((name) => [`#${name}`, name])),
    values: Object.fromEntries(names.map((name) => [`:${name}`, next[name] as Value])),
    when: {
      is: '#b = :wasBase AND #n = :wasSize AND #root = :wasRoot',
      values: { ':wasBase': base, ':wasSize': size, ':wasRoot': root },
    },
  };
}

/** Entries that lie in one item: of one tile and under one checkpoint, as many as fit. */
function chunksOf(entries: readonly StoredEntry[]): Chunk[] {
  const chunks: Chunk[] = [];
  for (const entry of entries) {
    const bytes = Buffer.byteLength(entry.record) + Buffer.byteLength(entry.disclosure ?? '');
    if (bytes > itemBytes) throw new StoreFault('too_large');
    const last = chunks.at(-1);
    if (
      last === undefined ||
      entry.index % tileWidth === 0 ||
      entry.tree !== last.tree ||
      last.bytes + bytes > itemBytes
    )
      chunks.push({ first: entry.index, entries: [entry], tree: entry.tree, bytes });
    else {
      last.entries.push(entry);
      last.bytes += bytes;
    }
  }
  return chunks;
}

function chunkWrites(chunks: readonly Chunk[], { checkpoints }: Change, keys: LogKeys): Write[] {
  const notes = new Map(checkpoints.map(({ end, note }) => [end, note]));
  return chunks.flatMap(({ first, entries, tree }) => {
    const end = first + entries.length;
    const note = end === tree ? notes.get(end) : undefined;
    const records = { ...keys.chunk(first), t: tree, r: entries.map(({ record }) => record) };
    const disclosed = entries.filter(({ disclosure }) => disclosure !== null);
    const texts = Object.fromEntries(disclosed.map(({ index, disclosure }) => [`d${index}`, disclosure as string]));
    return [
      { put: note === undefined ? records : { ...records, c: note }, when: absent },
      ...(disclosed.length === 0 ? [] : [{ put: { ...keys.disclosed(first), ...texts }, when: absent }]),
    ];
  });
}

/** The item of each id that the change is about, and what lists issuances by what is still to be done about them. */
function idWrites(change: Change, view: View, at: (index: number) => Place, keys: LogKeys): Write[] {
  const next = new Map<string, Record<string, Value | undefined>>();
  const row = (id: string): Record<string, Value | undefined> => {
    const known = next.get(id) ?? { ...view.ids.get(id), ...keys.id(id) };
    next.set(id, known);
    return known;
  };
  for (const { id, index, issuance, type } of change.entries) {
    row(id).p = at(index);
    if (issuance !== null && issuance !== id) {
      const about = row(issuance);
      const places = textsOf(about.s);
      if (type === 'renewal' && places.length >= mostPlaces) throw new TooMuch();
      about.s = new Set([...places, at(index)]);
    }
  }
  for (const state of change.issuances) Object.assign(row(state.id), stateValues(state));
  for (const { id, credential, holder, expiresAt } of change.held)
    Object.assign(row(id), { hc: credential, hh: holder, hx: expiresAt });
  for (const id of change.freed) Object.assign(row(id), { hc: undefined, hh: undefined, hx: undefined });
  return [...next].flatMap(([id, values]) => {
    const was = view.ids.get(id);
    const put = { ...defined(values), v: numberOf(was?.v ?? 0) + 1 } as unknown as Row;
    return [{ put, when: unchanged(was) }, ...markWrites(was, put, keys)];
  });
}

const stateValues = ({ writer, intent, outcome, once, expiresAt, ended, owed }: IssuanceState) => ({
  w: writer,
  i: intent ?? undefined,
  o: outcome ?? undefined,
  k: once ?? undefined,
  x: expiresAt ?? undefined,
  z: ended ?? undefined,
  d: owed?.since,
  told: owed?.told ?? undefined,
});

const defined = (values: Readonly<Record<string, Value | undefined>>): Record<string, Value> =>
  Object.fromEntries(Object.entries(values).filter((one): one is [string, Value] => one[1] !== undefined));

/**
 * Each item is on condition of its own number too: one that is read may be older than the head that was read with it, as
 * the parts of a transaction become visible one after the other.
 */
const unchanged = (was: Row | null | undefined): Condition =>
  was === undefined || was === null ? absent : { is: 'v = :wasNumber', values: { ':wasNumber': numberOf(was.v) } };

interface Mark extends Key {
  readonly position: number;
}

/** By which an issuance is found as long as something is to be done about it. */
function marksOf(row: Row | undefined, keys: LogKeys): Mark[] {
  const state = row === undefined ? undefined : stateOf(row);
  if (state === undefined) return [];
  const { intent, outcome, ended, expiresAt, owed } = state;
  const marks: Mark[] = [];
  if (intent !== null && outcome === null) marks.push({ pk: keys.open, sk: padded(intent), position: intent });
  if (intent !== null && outcome !== null && ended === null && expiresAt !== null)
    marks.push({ pk: keys.alive, sk: `${padded(expiresAt)}/${padded(outcome)}`, position: outcome });
  // Of what did not land, the intent says what is to be undone.
  const made = outcome === ended ? intent : outcome;
  if (owed !== null && made !== null) marks.push({ pk: keys.owed, sk: padded(made), position: made });
  return marks;
}

/** The items by which an issuance with this item is found as long as something is to be done about it. */
export function marksIn(row: Row, keys: LogKeys): Row[] {
  const places = new Map(placesOf(row).map((place) => [readPlace(place).position, place]));
  return marksOf(row, keys).map(({ pk, sk, position }) => ({
    pk,
    sk,
    w: textOf(row.w),
    p: places.get(position) ?? '',
  }));
}

function markWrites(was: Row | undefined, row: Row, keys: LogKeys): Write[] {
  const before = marksOf(was, keys);
  const after = marksIn(row, keys);
  const among = (marks: readonly Key[], { pk, sk }: Key) => marks.some((mark) => mark.pk === pk && mark.sk === sk);
  return [
    ...before.filter((mark) => !among(after, mark)).map(({ pk, sk }) => ({ remove: { pk, sk } })),
    ...after.filter((mark) => !among(before, mark)).map((put) => ({ put })),
  ];
}

/** An attribute for each lease that counts, with its end. */
export const leaseAttribute = (id: string): string => `l${id}`;

function holderWrites(change: Change, view: View, keys: LogKeys): Write[] {
  const changed = new Map<string, { key: Key; set: Map<string, number>; remove: Set<string> }>();
  const of = (credential: string, holder: string) => {
    const key = keys.holder(credential, holder);
    const known = changed.get(key.sk) ?? { key, set: new Map(), remove: new Set() };
    changed.set(key.sk, known);
    return known;
  };
  for (const { id, credential, holder, expiresAt } of change.held) of(credential, holder).set.set(id, expiresAt);
  for (const id of change.freed) {
    const was = view.ids.get(id);
    if (was?.hc !== undefined) of(textOf(was.hc), textOf(was.hh)).remove.add(id);
  }
  const writes = [...changed.values()].map(({ key, set, remove }): Write => {
    const was = view.holders.get(key.sk);
    for (const id of was ? expiredIn(was, change.now) : []) if (!set.has(id)) remove.add(id);
    const names = Object.fromEntries([...set.keys(), ...remove].map((id) => [`#${id}`, leaseAttribute(id)]));
    const sets = [...set.keys()].map((id) => `#${id} = :${id}`);
    const parts = [
      ...(sets.length === 0 ? [] : [`SET ${sets.join()}`]),
      ...(remove.size === 0 ? [] : [`REMOVE ${[...remove].map((id) => `#${id}`).join()}`]),
      'ADD v :one',
    ];
    const values = Object.fromEntries([...set].map(([id, expiresAt]) => [`:${id}`, expiresAt]));
    const when = was === undefined ? {} : { when: unchanged(was) };
    return { update: key, set: parts.join(' '), names, values: { ...values, ':one': 1 }, ...when };
  });
  // What was counted and is not written must still be what was counted.
  const counted = change.held.length === 0 ? [] : [...view.holders];
  const checks = counted
    .filter(([sk]) => !changed.has(sk))
    .map(([sk, was]) => ({ check: { pk: keys.held(sk), sk }, when: unchanged(was) }));
  return [...writes, ...checks];
}

/** How many leases of a holder's item live on. */
export const livingIn = (row: Row, now: number): number =>
  Object.entries(row).filter(([name, value]) => isLease(name) && numberOf(value) > now).length;

const isLease = (name: string): boolean => name.length === 27 && name.startsWith('l');

const expiredIn = (row: Row, now: number): string[] =>
  Object.entries(row)
    .filter(([name, value]) => isLease(name) && numberOf(value) <= now)
    .map(([name]) => name.slice(1))
    .slice(0, 50);

/** Of how the items are laid out; a log that has another is not written to. */
export const schemaNumber = 1;

/** The item of a log without entries. */
export const firstHead = (head: Head, vkey: string, { head: key }: LogKeys): Row => ({
  ...key,
  ...headValues(head),
  range: concat(),
  locks: [],
  vkey,
  schema: schemaNumber,
});
