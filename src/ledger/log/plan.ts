import type { Lockdown } from '../../lib/lockdown.ts';
import type { Mint } from '../../lib/mint.ts';
import { Refusal } from '../../lib/refusal.ts';
import { instantMs, parseInstant } from '../../lib/time.ts';
import { newUlid } from '../../lib/ulid.ts';
import type { AppendRequest, KeyRecord } from '../ledger.ts';
import type { Change, Found, IssuanceState, StoredEntry, Wanted } from '../log-store.ts';
import { openDisclosure } from '../records/disclosure.ts';
import {
  endedName,
  issuanceOf,
  keyName,
  keyNameOf,
  type LedgerRecord,
  parseRecord,
  type RecordText,
  type RecordType,
  recordText,
  type Writer,
} from '../records/record.ts';
import type { Minter, WriterRights } from '../records/writer.ts';
import { add, base, type Draft, type Drafted, endOf, inForceAt, lockdownChanges, merge, over } from './draft.ts';
import { type Examined, invalid } from './examine.ts';
import { hold, holdersOf } from './holding.ts';
import { bareState, nextState } from './issuance-state.ts';

/** How far a record's time may be from the log's clock, and how long the same mint is signed again; milliseconds. */
export const timeSkew = 30_000;

/** An append whose own text has been examined. */
export interface Ask {
  readonly request: AppendRequest;
  readonly writer: WriterRights;
  /** Of this deployment's own broker. */
  readonly local: boolean;
  readonly entries: readonly Examined[];
  /** The log's own failure after it could not sign: the one second outcome there is. */
  readonly afterSigning?: true;
  /** Lockdowns that another log of the ledger took when they were young: they come late, and move the epoch themselves. */
  readonly copied?: true;
  /** Own keys to be recorded for their own sake. */
  readonly keys?: { readonly begin: readonly KeyRecord[]; readonly end: readonly KeyRecord[] };
}

export interface PlanContext {
  readonly now: number;
  readonly random: (bytes: number) => Uint8Array;
  /** Who writes what the log itself has to say. */
  readonly writer: Writer;
  readonly keyRecords: readonly KeyRecord[];
  readonly minter?: Minter;
}

/** Where a record of an append ended up: new in this batch, or stored long ago. */
export interface Placed {
  readonly index: number;
  readonly text: RecordText;
  /** The entry as first stored, for a record that was there before. */
  readonly stored?: StoredEntry;
  /** To be signed once the commit is durable. */
  readonly mint?: Mint;
}

export interface Plan extends Omit<Change, 'from' | 'head' | 'entries' | 'subtrees' | 'checkpoints' | 'ended'> {
  readonly epoch: number;
  readonly drafted: readonly Drafted[];
  /** Aligned with the asks. */
  readonly outcomes: readonly (readonly Placed[] | Refusal)[];
}

const policyName = (hash: string): string => `policy:${hash}`;
/** Of as many characters as any other, unlike the name of a key. */
export const isPolicyName = (name: string): boolean => name.startsWith(policyName(''));

const policiesOf = ({ request, entries }: Ask): Set<string> =>
  new Set([request.policy, ...entries.map(({ record }) => record.policy)].filter((hash) => hash !== undefined));

/** What must be looked up before these can be planned. */
export function wantedBy(
  asks: readonly Ask[],
  { keyRecords, writer, now }: Pick<PlanContext, 'keyRecords' | 'writer' | 'now'>,
): Wanted {
  const records = asks.flatMap((ask) => ask.entries.map(({ record }) => record));
  const own = [...keyRecords, ...asks.flatMap(({ keys }) => [...(keys?.begin ?? []), ...(keys?.end ?? [])])];
  const names = own.map((key) => keyName(writer.name, key));
  const keys = [...names, ...names.map(endedName), ...records.map(keyNameOf)];
  const issuances = [...new Set(records.map(issuanceOf).filter((id) => id !== undefined))];
  return {
    ids: [...new Set([...records.map(({ id }) => id), ...issuances])],
    issuances,
    spent: [...new Set(records.map(({ once }) => once).filter((key) => key !== undefined))],
    seen: [
      ...new Set([
        ...asks.flatMap((ask) => [...policiesOf(ask)].map(policyName)),
        ...keys.filter((key) => key !== undefined),
      ]),
    ],
    holders: asks.flatMap(holdersOf),
    now,
  };
}

/**
 * Plans one commit from one consistent view of the log: pure but for the minter's check and new ids. An append that is
 * refused leaves no trace in the plan; later ones of the batch see what earlier ones will have written.
 */
export function plan(found: Found, asks: readonly Ask[], context: PlanContext): Plan {
  const draft = over(base(found), endOf(found.head));
  recordKeys(draft, context.keyRecords, 'begin', context);
  // Keys are recorded with the first record that comes, for their own sake only where that is asked.
  const own = draft.added.length;
  const asked = asks.some(({ keys }) => keys !== undefined);
  const outcomes = asks.map((ask) => {
    const trial = over(draft, draft.size + draft.added.length);
    try {
      recordKeys(trial, ask.keys?.begin ?? [], 'begin', context);
      recordKeys(trial, ask.keys?.end ?? [], 'end', context);
      const placed = placeAll(trial, ask, context);
      merge(trial, draft);
      return placed;
    } catch (error) {
      if (error instanceof Refusal) return error;
      throw error;
    }
  });
  return {
    epoch: draft.epoch,
    drafted: draft.added.length === own && !asked ? [] : draft.added,
    issuances: [...draft.issuances.own.values()],
    spent: [...draft.spent.own].map(([key, index]) => ({ key, index })),
    seen: [...draft.seen.own].map(([name, index]) => ({ name, index })),
    lockdowns: lockdownChanges(inForceAt(found), draft.lockdowns),
    held: [...draft.held.own].flatMap(([id, held]) => (held === null ? [] : [{ id, ...held }])),
    freed: [...draft.held.own].flatMap(([id, held]) => (held === null ? [id] : [])),
    now: context.now,
    outcomes,
  };
}

/** One record per beginning and one per end, however many processes ask for it; a key that ended does not begin again. */
function recordKeys(
  draft: Draft,
  keys: readonly KeyRecord[],
  state: 'begin' | 'end',
  { writer, now, random }: PlanContext,
): void {
  for (const { purpose, kid, jwk } of keys) {
    const begun = keyName(writer.name, { purpose, kid });
    const name = state === 'begin' ? begun : endedName(begun);
    const orphan = state === 'end' && draft.seen.get(begun) === undefined;
    if (orphan || draft.seen.get(name) !== undefined) continue;
    const time = instantMs(now);
    const record = {
      v: 1,
      type: 'key',
      id: newUlid(now, random),
      time,
      writer,
      purpose,
      kid,
      jwk,
      state,
    } as const;
    draft.seen.own.set(name, add(draft, { record: recordText(record), disclosure: null }, record));
  }
}

function placeAll(draft: Draft, ask: Ask, context: PlanContext): Placed[] {
  const fresh = ask.entries.filter((entry) => !isKnown(draft, entry));
  if (fresh.length > 0) {
    checkEpoch(draft, ask, fresh, context.now);
    recordPolicies(draft, ask, (fresh[0] as Examined).record.writer, context);
  }
  const spentHere = new Map<string, LedgerRecord>();
  return ask.entries.map((entry) => {
    const known = draft.entries.get(entry.record.id);
    return known === undefined
      ? place(draft, ask, entry, spentHere, context)
      : again(draft, ask, entry, known, context);
  });
}

function isKnown(draft: Draft, { record, text }: Examined): boolean {
  const known = draft.entries.get(record.id);
  if (known !== undefined && known.record !== text.record) throw invalid('id_taken', 'That record id has other bytes.');
  return known !== undefined;
}

// These undo or refuse: blocking them under an old epoch would block the undoing itself.
const neverStale: ReadonlySet<RecordType> = new Set<RecordType>(['failure', 'revocation', 'denial']);

function checkEpoch(draft: Draft, { request, copied }: Ask, fresh: readonly Examined[], now: number): void {
  if (copied === true) return;
  if (request.epoch === draft.epoch || fresh.every(({ record }) => neverStale.has(record.type))) return;
  throw new Refusal('stale', 'stale', { members: { epoch: draft.epoch, lockdowns: inForce(draft, now) } });
}

/** The lockdowns in force, as `stale` lists them. */
function inForce({ lockdowns }: Draft, now: number): Lockdown[] {
  const active: Lockdown[] = [];
  for (const text of lockdowns.values()) {
    const { id, epoch, until } = parseRecord(text.record);
    if (until !== undefined && (parseInstant(until) as number) <= now) continue;
    const match = text.disclosure === null ? {} : (openDisclosure(text.disclosure).match ?? {});
    active.push({ id, epoch: epoch as number, match, ...(until !== undefined && { until }) });
  }
  return active;
}

function recordPolicies(draft: Draft, ask: Ask, writer: Writer, { now, random }: PlanContext): void {
  for (const hash of policiesOf(ask)) {
    const name = policyName(hash);
    if (draft.seen.get(name) !== undefined) continue;
    const counts = hash === ask.request.policy ? ask.request.policyCounts : undefined;
    const stub = { v: 1, type: 'policy', id: newUlid(now, random), time: instantMs(now), writer, hash } as const;
    const record: LedgerRecord = { ...stub, grants: counts?.grants, credentials: counts?.credentials };
    const text = recordText(record);
    draft.seen.own.set(name, add(draft, { record: text, disclosure: null }, record));
  }
}

/** A record that is there already: its first place, and what was signed for it signed again while it is young. */
function again(
  draft: Draft,
  ask: Ask,
  { text, record, disclosed }: Examined,
  known: Drafted | StoredEntry,
  { now, minter }: PlanContext,
): Placed {
  const stored = 'leaf' in known ? known : undefined;
  const young = now - (parseInstant(record.time) as number) < timeSkew;
  const ended = draft.issuances.get(record.id)?.ended ?? null;
  const mint = young && ended === null ? disclosed?.mint : undefined;
  if (mint !== undefined && disclosed !== undefined) minter?.check(record, disclosed, ask.writer);
  return { index: known.index, text, stored, mint };
}

function place(
  draft: Draft,
  ask: Ask,
  { text, record, disclosed }: Examined,
  spentHere: Map<string, LedgerRecord>,
  { now, minter }: PlanContext,
): Placed {
  if (ask.copied !== true && Math.abs(now - (parseInstant(record.time) as number)) > timeSkew)
    throw invalid('time', "The record's time is more than 30 s from the ledger's clock.");
  if (disclosed?.mint !== undefined) {
    if (minter === undefined) throw new Refusal('denied', 'nothing_is_signed_here');
    minter.check(record, disclosed, ask.writer);
  }
  const index = draft.size + draft.added.length;
  if (record.once !== undefined) spend(draft, record, record.once, index, spentHere);
  // Of one that was erased where it is copied from nobody knows what it named: it is taken for everything, as there.
  const hasMatch = disclosed !== undefined || ask.copied === true;
  if (record.type === 'lockdown') moveEpoch(draft, record, text, index, hasMatch, now);
  else follow(draft, ask, record, index);
  hold(draft, ask.request.max, record, now);
  const key = keyNameOf(record);
  if (key !== undefined && draft.seen.get(key) === undefined) draft.seen.own.set(key, index);
  add(draft, text, record);
  return { index, text, mint: disclosed?.mint };
}

/** The replay key: spent by its first append, and carried again only by the issuance whose intent spent it. */
function spend(
  draft: Draft,
  record: LedgerRecord,
  key: string,
  index: number,
  spentHere: Map<string, LedgerRecord>,
): void {
  const spender = draft.spent.get(key);
  if (spender === undefined) {
    draft.spent.own.set(key, index);
    spentHere.set(key, record);
    return;
  }
  const first = spentHere.get(key);
  // Several records of one append may share a token; the request id lets verify see that they were one.
  if (first !== undefined && first.request !== undefined && first.request === record.request) return;
  if (record.type === 'issuance' && draft.issuances.get(record.id)?.once === key) return;
  throw new Refusal('replayed', 'replayed', { members: { index: spender } });
}

function moveEpoch(
  draft: Draft,
  record: LedgerRecord,
  text: RecordText,
  index: number,
  hasMatch: boolean,
  now: number,
): void {
  if (record.epoch !== draft.epoch + 1)
    throw new Refusal('stale', 'stale', { members: { epoch: draft.epoch, lockdowns: inForce(draft, now) } });
  const after = new Map(draft.lockdowns);
  if (record.op === 'add') {
    if (!hasMatch) throw invalid('match_missing');
    after.set(record.id, { ...text, index });
  } else if (!after.delete(record.target as string)) throw invalid('unknown_lockdown');
  draft.epoch++;
  draft.lockdowns = after;
}

/** One intent, one outcome, and nobody speaks for another writer's issuance. */
function follow(draft: Draft, ask: Ask, record: LedgerRecord, index: number): void {
  const id = issuanceOf(record);
  if (id === undefined) return;
  const state = stateOf(draft, id);
  if (state !== undefined && state.writer !== record.writer.name && !ask.local) throw invalid('other_writer');
  const next = nextState(state, record, id, index, ask.afterSigning === true);
  if (next !== undefined) draft.issuances.own.set(id, next);
}

/** What is known of an issuance; one that had no intent is known by its own record. */
function stateOf(draft: Draft, id: string): IssuanceState | undefined {
  const state = draft.issuances.get(id);
  const entry = draft.entries.get(id);
  return state ?? (entry === undefined ? undefined : bareState(entry));
}
