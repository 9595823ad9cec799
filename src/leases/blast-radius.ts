import type { LedgerRecord } from '../ledger/records/record.ts';
import type { Deadline } from '../lib/deadline.ts';
import { instant } from '../lib/time.ts';
import { endOf, type FoundPage, type IssuedSearch, type Place, type Search } from './issued.ts';
import type { LeaseStory } from './story.ts';

/** Leases, counted. What is alive and not revocable lives until its time, `livesUntil` at the latest. */
export interface Count {
  issued: number;
  alive: number;
  revocable: number;
  livesUntil?: string;
}

/** What a lockdown's match was issued since a time, and what of it is still alive. */
export interface BlastRadius extends Count {
  readonly since: string;
  /** False: there was no time to look at all of it; `issued` since `from` is whole, without it since no time. */
  readonly complete: boolean;
  readonly from?: string;
  /** Issuances of which it is not known whether they match: who it was is erased, or another policy knows their grant. */
  readonly unknown: number;
  /** Where there are any: issuances decided under another policy that do not match by this one's roles and stores. */
  readonly otherwise?: number;
  /** The most issued first. `stored`: what was handed over lies in a store, and stays good when its lease is over. */
  readonly credentials: readonly (Count & {
    readonly credential: string;
    readonly kind: string;
    readonly stored?: true;
  })[];
  /** The same, at most 100; `identity` is absent where it is erased. */
  readonly identities: readonly (Count & { readonly issuer: string; readonly identity?: string })[];
  /** How many identities there are in all. */
  readonly identitiesTotal: number;
}

/** Kept of the time for what comes after the search, milliseconds. */
const reserve = 2_000;
const mostIdentities = 100;
/** Leases whose records are read one by one. */
const mostAlive = 20_000;

/** Counts within the time there is. @throws Refusal ledger_unavailable */
export async function measureBlastRadius(
  { logs, page, renewed, stories }: IssuedSearch,
  search: Search,
  now: number,
  deadline: Deadline,
): Promise<BlastRadius> {
  const total: Count = { issued: 0, alive: 0, revocable: 0 };
  const credentials = new Map<string, BlastRadius['credentials'][number]>();
  const identities = new Map<string, BlastRadius['identities'][number]>();
  let unknown = 0;
  let otherwise = 0;
  let looked = 0;
  let from: string | undefined;
  const ends = await renewed(search.since, deadline);

  let next: Place | undefined = { log: 0 };
  while (next !== undefined && deadline.left() > reserve && looked < mostAlive) {
    const { found, next: rest, ...told }: FoundPage = await page(search, next, deadline);
    const sure = found.filter(({ fits }) => fits === true);
    const maybeAlive = sure.filter((issued) => endOf(issued, ends) > now);
    looked += maybeAlive.length;
    const alive = await stories(maybeAlive, deadline);
    unknown += found.length - sure.length;
    otherwise += told.otherwise;
    for (const issued of sure) {
      const { record, name } = issued;
      const { credential = '', kind = '' } = record;
      const issuer = record.identity?.issuer ?? '';
      const who = { issuer, ...(name !== undefined && { identity: name }) };
      const counts = [
        total,
        counted(credentials, credential, { credential, kind, ...(isStored(record) && { stored: true as const }) }),
        counted(identities, JSON.stringify(who), who),
      ];
      for (const count of counts) add(count, alive.get(record.id), now);
    }
    // Of a shard that was not begun, nothing is counted.
    from = rest?.log === next.log ? (found.at(-1)?.record.time ?? from) : undefined;
    next = rest;
  }
  const whole = next?.log === logs - 1 ? from : undefined;
  const rows = [...identities.values()].sort(byIssued);
  return {
    since: instant(search.since),
    complete: next === undefined,
    ...(whole !== undefined && { from: whole }),
    ...total,
    unknown,
    ...(otherwise > 0 && { otherwise }),
    credentials: [...credentials.values()].sort(byIssued),
    identities: rows.slice(0, mostIdentities),
    identitiesTotal: rows.length,
  };
}

const byIssued = (one: Count, other: Count): number => other.issued - one.issued || other.alive - one.alive;

function counted<T>(counts: Map<string, T & Count>, key: string, of: T): Count {
  const there = counts.get(key);
  if (there !== undefined) return there;
  const made = { ...of, issued: 0, alive: 0, revocable: 0 };
  counts.set(key, made);
  return made;
}

function add(count: Count, story: LeaseStory | undefined, now: number): void {
  count.issued++;
  if (story === undefined || !isAlive(story, now)) return;
  count.alive++;
  if (isRevocable(story)) count.revocable++;
  else {
    const until = instant(story.expiresAt);
    if (count.livesUntil === undefined || count.livesUntil < until) count.livesUntil = until;
  }
}

/** Its time is not over, and it is not known to be gone. */
export const isAlive = ({ expiresAt, done }: LeaseStory, now: number): boolean => now < expiresAt && !done;

/** What was handed over is what a store keeps: no lease ends it. */
export const isStored = ({ store }: Pick<LedgerRecord, 'store'>): boolean => store !== undefined;

/** Can be ended from its record alone. */
export const isRevocable = ({ issuance }: LeaseStory): boolean => issuance.lease?.revocable === true;
