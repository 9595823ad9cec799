import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import { isJsonObject } from '../../lib/strict-json.ts';
import type { Ledger, LogReader, PlacedEntry, Texts } from '../ledger.ts';
import { type Disclosing, disclosing, type Judge, type Kept } from './erasable.ts';

/** A log whose disclosures can be erased from here. */
export interface Erasing extends Pick<Ledger, 'origin' | 'index'> {
  readonly reader: LogReader;
  readonly texts: Texts;
  readonly erase: NonNullable<Ledger['erase']>;
}

/** The logs of a ledger that is here; empty where it is elsewhere. */
export const erasingOf = (
  ledger: Pick<Ledger, 'shards' | 'origin' | 'index' | 'reader' | 'texts' | 'erase'>,
): readonly Erasing[] =>
  (ledger.shards ?? [ledger]).filter(
    (one): one is typeof one & Erasing =>
      one.reader !== undefined && one.texts !== undefined && one.erase !== undefined,
  );

/** Which entries of which log were erased, as an `erasure` record discloses it. */
export interface Erased {
  readonly log: string;
  readonly positions: readonly number[];
}

/** What one look through a part of a log found. */
export interface Found {
  /** Of what may be erased, in order. */
  readonly positions: readonly number[];
  /** What `erasure` records among these said was erased: to be said again before they go, for copies that have not heard it. */
  readonly said: readonly Erased[];
  /** What must be kept, and why. */
  readonly kept: readonly { readonly position: number; readonly why: Kept }[];
  /** Everything below was looked at. */
  readonly next: number;
  /** There is nothing more to look at now. */
  readonly over: boolean;
}

/** Erased together, under one record. */
export const mostErased = 256;
/** Erasure records erased together, as each is said again. */
const mostSaid = 16;
/** Looked at together; an answer of a Durable Object takes so many of the largest there can be. */
const page = 64;

export interface Look {
  /** What is meant: `past` ends the look, as nothing that comes after is meant either. */
  readonly meant: (about: Disclosing) => boolean | 'past';
  readonly judge: Judge;
  /** Decides before the judge. */
  readonly isOwn?: (about: Disclosing) => boolean;
  /** Entries at most, and milliseconds. */
  readonly most: { readonly entries: number; readonly ms: number };
  readonly ledgerMs: number;
  readonly now: () => number;
}

/** Looks through a log from a position on for disclosures that are meant. Rejects with Refusal ledger_unavailable. */
export async function findErasable(log: Erasing, from: number, look: Look, deadline: Deadline): Promise<Found> {
  const { judge, most, ledgerMs, now } = look;
  const { base, size } = await log.reader.head(deadline.within(ledgerMs));
  const end = base + size;
  const time = deadlineIn(most.ms, now);
  const positions: number[] = [];
  const kept: Found['kept'][number][] = [];
  const said: Erased[] = [];
  let at = from;
  for (; at < end && at - from < most.entries && time.left() > 0; at += page) {
    const entries = await log.reader.entries(at, Math.min(at + page, end), deadline.within(ledgerMs));
    await breath();
    for (const entry of entries) {
      const about = disclosing(entry);
      const meant = about !== undefined && look.meant(about);
      if (about === undefined || meant === false) continue;
      if (meant === 'past') return { positions, said, kept, next: entry.index, over: true };
      if (positions.length >= mostErased || kept.length >= mostErased || said.length >= mostSaid)
        return { positions, said, kept, next: entry.index, over: false };
      const why = look.isOwn?.(about) === true ? 'own' : await judge.whyKept(about, deadline.within(ledgerMs));
      if (why === undefined) {
        positions.push(entry.index);
        said.push(...saidBy(about));
      } else kept.push({ position: entry.index, why });
    }
  }
  const next = Math.min(at, end);
  return { positions, said, kept, next, over: next === end };
}

/** What an erasure record says was erased; nothing of any other. */
export function saidBy(about: Pick<Disclosing, 'type' | 'disclosed'>): Erased[] {
  // Nothing else is opened for it.
  const query = about.type === 'erasure' ? about.disclosed.query : undefined;
  if (!isJsonObject(query) || typeof query.log !== 'string') return [];
  const positions = Array.isArray(query.positions) ? query.positions.filter((one) => typeof one === 'number') : [];
  return positions.length === 0 ? [] : [{ log: query.log, positions }];
}

/** A log at hand answers at once, and a look at all of it keeps nobody else waiting. */
const breath = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** From the index first: what stands there no more is found no more, and would be left there for ever. */
export async function eraseAt(log: Erasing, positions: readonly number[], deadline: Deadline): Promise<void> {
  await log.index?.forget(positions, deadline);
  await log.erase(positions, deadline);
}

/** Sees to it that nothing is left in the log's files of what was erased, where its store can do that. */
export const settleErased = (log: Erasing, deadline: Deadline): Promise<void> => log.erase([], deadline);

/** What is there of these positions, in order. */
export async function entriesAt(
  { reader }: Pick<Erasing, 'reader'>,
  positions: readonly number[],
  time: () => Deadline,
): Promise<readonly PlacedEntry[]> {
  const found: PlacedEntry[] = [];
  for (let from = 0; from < positions.length; from += page) {
    const some = positions.slice(from, from + page);
    if (reader.at !== undefined) found.push(...(await reader.at(some, time())));
    else for (const position of some) found.push(...(await reader.entries(position, position + 1, time())));
  }
  return found.sort((one, other) => one.index - other.index);
}
