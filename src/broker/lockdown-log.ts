import type { Ledger, PlacedEntry } from '../ledger/ledger.ts';
import { openDisclosure } from '../ledger/records/disclosure.ts';
import { parseRecord } from '../ledger/records/record.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Lockdown } from '../lib/lockdown.ts';
import { Refusal } from '../lib/refusal.ts';
import { isInForce } from '../policy/lockdown.ts';

/** A lockdown as it is shown. */
export interface LockdownView {
  readonly id: string;
  readonly state: 'in_force' | 'expired' | 'lifted';
  /** Empty: everything. Absent once it is erased; a broker then takes it for everything. */
  readonly match?: Lockdown['match'];
  /** In a list, of one in force: members whose name this config does not have, so that it stops nothing here. */
  readonly unknown?: readonly string[];
  readonly reason?: string;
  readonly until?: string;
  readonly epoch: number;
  readonly at: string;
  /** `identity.name` of who did it; absent once it is erased. */
  readonly by?: string;
  readonly log: string;
  readonly index: number;
  readonly lifted?: { readonly at: string; readonly by?: string; readonly reason?: string; readonly index: number };
}

const pageLimit = 1_000;
/** Of each log: what was added and lifted before its newest 10,000 records of lockdowns is history. */
const mostPages = 10;

/** The newest lockdowns, and those of these ids, however long ago they were added; newest first. @throws Refusal ledger_unavailable */
export async function readLockdowns(
  { shards, ...ledger }: Pick<Ledger, 'reader' | 'shards'>,
  standing: readonly string[],
  ledgerMs: number,
  now: number,
  deadline: Deadline,
): Promise<readonly LockdownView[]> {
  const added = new Map<string, PlacedEntry>();
  const lifts = new Map<string, PlacedEntry>();
  for (const { reader } of shards ?? [ledger]) {
    if (reader === undefined) throw new Refusal('ledger_unavailable', 'no_reader');
    let before: number | undefined;
    for (let page = 0; page < mostPages || standing.some((id) => !added.has(id)); page++) {
      const filter = { type: 'lockdown', limit: pageLimit, ...(before !== undefined && { before }) } as const;
      const entries = await reader.list(filter, deadline.within(ledgerMs));
      for (const entry of entries) {
        const { op, id, target = '' } = parseRecord(entry.record);
        // Every shard has every lockdown: it is shown as the first of them has it.
        const [of, key] = op === 'add' ? ([added, id] as const) : ([lifts, target] as const);
        if (!of.has(key)) of.set(key, entry);
      }
      before = entries.at(-1)?.index;
      if (entries.length < pageLimit) break;
    }
  }
  const views = [...added.values()].map((entry) => viewOf(entry, lifts, now));
  return views.sort((one, other) => other.epoch - one.epoch);
}

export function viewOf(entry: PlacedEntry, lifts: ReadonlyMap<string, PlacedEntry>, now: number): LockdownView {
  const { record, match, by, reason } = opened(entry);
  const { id, epoch = 0, until, time } = record;
  const lift = lifts.get(id);
  const ended = isInForce({ ...(until !== undefined && { until }) }, now) ? 'in_force' : 'expired';
  return {
    id,
    state: lift === undefined ? ended : 'lifted',
    ...(match && { match }),
    ...(reason !== undefined && { reason }),
    ...(until !== undefined && { until }),
    epoch,
    at: time,
    ...(by !== undefined && { by }),
    log: entry.log,
    index: entry.leaf,
    ...(lift && { lifted: liftOf(lift) }),
  };
}

function liftOf(entry: PlacedEntry): LockdownView['lifted'] & object {
  const { record, by, reason } = opened(entry);
  return {
    at: record.time,
    ...(by !== undefined && { by }),
    ...(reason !== undefined && { reason }),
    index: entry.leaf,
  };
}

function opened({ record: text, disclosure }: PlacedEntry) {
  const record = parseRecord(text);
  const { match, name: by, why: reason } = disclosure === null ? {} : openDisclosure(disclosure);
  return { record, match: match as Lockdown['match'] | undefined, by, reason };
}
