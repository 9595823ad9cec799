import type { Deadline } from '../lib/deadline.ts';
import type { Identity } from '../lib/identity.ts';
import { instant } from '../lib/time.ts';
import { isAlive, isRevocable, isStored } from './blast-radius.ts';
import { reasonOf } from './ending.ts';
import { inParallel } from './in-parallel.ts';
import { endOf, type Issued, type IssuedSearch, type Place, type Search } from './issued.ts';
import type { LeaseRevoker } from './revoke.ts';
import type { LeaseStory } from './story.ts';

/** One lease of those a lockdown matches. */
export interface RevokedItem {
  readonly id: string;
  readonly credential: string;
  readonly kind: string;
  readonly account?: string | undefined;
  /** Absent once it is erased. */
  readonly identity?: string | undefined;
  readonly expiresAt: string;
  /**
   * `done`: gone at the target. `recorded`: ended, and not yet gone there; whose it is tries again until it is.
   * `lives_on`: cannot be ended before `expiresAt`. `failed`: nothing was recorded. `unknown`: whether it matches cannot be said.
   */
  readonly outcome: 'done' | 'recorded' | 'lives_on' | 'failed' | 'unknown';
  /** Of a failure, a stable word. */
  readonly reason?: string;
  /** It lies in a store, and stays good after `expiresAt` too, until it is rotated. */
  readonly stored?: true;
}

export interface RevokeIssuedCall {
  readonly identity: Identity;
  readonly request: string;
  readonly trace?: string | undefined;
  readonly address?: string | undefined;
  readonly deadline: Deadline;
}

/** One page, and the leases on it that may be alive. */
interface Looked {
  readonly maybe: readonly Issued[];
  readonly known: ReadonlyMap<string, LeaseStory>;
  readonly rest: Place | undefined;
}

const atOnce = 8;
const mostItems = 256;
/** Nothing is begun with less than this left, milliseconds: ending one at its target takes time. At most half of all. */
const mostReserve = 6_000;

/**
 * Revokes what is alive of what the match was issued, as much as there is time for, newest first. `next`: where to go on.
 * What was ended before and is not gone is tried again. @throws Refusal ledger_unavailable before anything is ended
 */
export async function revokeIssued(
  { page, renewed, stories }: IssuedSearch,
  revoker: LeaseRevoker,
  search: Search,
  start: Place,
  { deadline, ...call }: RevokeIssuedCall,
  now: () => number,
): Promise<{ readonly items: readonly RevokedItem[]; readonly next?: Place }> {
  const ends = await renewed(search.since, deadline);
  const reserve = Math.min(mostReserve, deadline.left() / 2);
  const items: RevokedItem[] = [];
  let next: Place | undefined = start;

  async function one({ fits, name, record }: Issued, story: LeaseStory): Promise<RevokedItem> {
    const { id, credential = '', kind = '', lease } = record;
    const expiresAt = instant(story.expiresAt);
    const item = { id, credential, kind, account: lease?.account, identity: name, expiresAt };
    if (fits === undefined) return { ...item, outcome: 'unknown' };
    if (!isRevocable(story)) return { ...item, outcome: 'lives_on', ...(isStored(record) && { stored: true }) };
    try {
      return { ...item, outcome: await revoker.revoke({ ...call, deadline, lease: story, why: 'ordered' }) };
    } catch (error) {
      return { ...item, outcome: 'failed', reason: reasonOf(error) };
    }
  }

  async function look(from: Place): Promise<Looked> {
    const { found, next: rest } = await page(search, from, deadline);
    const maybe = found.filter((issued) => endOf(issued, ends) > now());
    return { maybe, known: await stories(maybe.slice(0, mostItems), deadline), rest };
  }

  while (next !== undefined && items.length < mostItems && deadline.left() > reserve) {
    const looked: Looked | undefined = await look(next).catch((error) => {
      if (items.length === 0) throw error;
      // What was ended by then is told all the same.
      return undefined;
    });
    if (looked === undefined) break;
    const maybe: readonly Issued[] = looked.maybe;
    const done: (RevokedItem | undefined)[] = [];
    let begun = 0;
    await inParallel([...maybe.slice(0, mostItems).entries()], atOnce, async ([at, issued]) => {
      if (deadline.left() <= reserve) return;
      begun = at + 1;
      const story = looked.known.get(issued.record.id);
      if (story !== undefined && isAlive(story, now())) done[at] = await one(issued, story);
    });
    items.push(...done.filter((item) => item !== undefined));
    const last: Issued | undefined = maybe[begun - 1];
    // What was not begun comes again: the page goes on below the last that was.
    if (begun < maybe.length) next = last?.place ?? next;
    else next = looked.rest;
    if (begun < maybe.length && deadline.left() <= reserve) break;
  }
  return { items, ...(next !== undefined && { next }) };
}
