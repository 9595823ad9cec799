import { Refusal } from '../../lib/refusal.ts';
import { parseInstant } from '../../lib/time.ts';
import type { AppendRequest } from '../ledger.ts';
import { type Held, type Holding, holdingKey, type IssuanceState } from '../log-store.ts';
import { issuanceOf, type LedgerRecord } from '../records/record.ts';
import type { Draft } from './draft.ts';
import { type Examined, invalid } from './examine.ts';

/** Whose leases must be counted before these can be planned. */
export function holdersOf({
  request: { max },
  entries,
}: {
  readonly request: AppendRequest;
  readonly entries: readonly Examined[];
}): Pick<Held, 'credential' | 'holder'>[] {
  if (max === undefined) return [];
  const names = new Set(entries.map(({ record }) => record.credential).filter((name) => name !== undefined));
  return [...names].flatMap((credential) => namesOf(max).map((holder) => ({ credential, holder })));
}

const namesOf = ({ holder, former = [] }: Holding): string[] => [...new Set([holder, ...former])];

/**
 * A lease counts from its first record on, until it expires or is known to be gone: what nothing ends early lives on, though
 * it is revoked. One that counts already is not counted again.
 *
 * @throws Refusal denied, reason `max`
 */
export function hold(draft: Draft, max: Holding | undefined, record: LedgerRecord, now: number): void {
  const id = issuanceOf(record);
  if (id === undefined) return;
  const before = draft.held.get(id) ?? undefined;
  const live = before !== undefined && before.expiresAt > now;
  if (record.type === 'failure' || record.type === 'revocation') {
    if (before === undefined || !isGone(record, draft.issuances.get(id))) return;
    draft.held.own.set(id, null);
    if (live) count(draft, before, -1);
  } else if (record.type === 'intent' || record.type === 'issuance' || record.type === 'renewal') {
    const held = before ?? newHeld(max, record);
    if (held === undefined) return;
    const told = parseInstant(record.lease?.expiresAt ?? '') ?? held.expiresAt;
    const expiresAt = record.type === 'renewal' ? Math.max(told, held.expiresAt) : told;
    const counts = expiresAt > now;
    if (counts && !live && max !== undefined) refuseMore(draft, held, max);
    draft.held.own.set(id, { ...held, expiresAt });
    count(draft, held, Number(counts) - Number(live));
  }
}

/** What is told to have been abandoned was never handed over, and of what was made at a target that is not all. */
function isGone({ type, reason }: LedgerRecord, state: IssuanceState | undefined): boolean {
  if ((state?.owed ?? null) !== null) return false;
  return type === 'failure' || reason === 'done' || reason === 'expired' || reason === 'abandoned';
}

function newHeld(max: Holding | undefined, { credential, lease }: LedgerRecord): Held | undefined {
  if (max === undefined) return undefined;
  const expiresAt = parseInstant(lease?.expiresAt ?? '');
  if (credential === undefined || expiresAt === undefined) throw invalid('lease_missing');
  return { credential, holder: max.holder, expiresAt };
}

function refuseMore(draft: Draft, { credential }: Held, max: Holding): void {
  const counts = namesOf(max).map((holder) => draft.holding.get(holdingKey({ credential, holder })) ?? 0);
  if (counts.reduce((sum, each) => sum + each, 0) < max.most) return;
  throw new Refusal('denied', 'max', { members: { max: max.most } });
}

function count(draft: Draft, held: Held, by: number): void {
  const key = holdingKey(held);
  draft.holding.own.set(key, (draft.holding.get(key) ?? 0) + by);
}
