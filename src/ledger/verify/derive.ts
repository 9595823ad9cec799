import { sha256Url } from '../../lib/bytes.ts';
import { Refusal } from '../../lib/refusal.ts';
import { bareState, nextState } from '../log/issuance-state.ts';
import type { IssuanceState } from '../log-store.ts';
import type { Common } from '../records/reader.ts';
import { issuanceOf, keyNameOf, type LedgerRecord, type RecordType, recordText } from '../records/record.ts';
import { openUlidTable, type UlidTableState } from './ulid-table.ts';

/** Something that is not as it must be. */
export interface Finding {
  /** Of the entry, where it is about one. */
  readonly index?: number;
  /** A stable word. */
  readonly code: string;
  readonly message: string;
}

/** Everything that follows from the records alone: what law 5 checked when they were appended, checked again. */
export interface Derived {
  epoch: number;
  /** Issuances with an intent, a failure or a revocation. */
  readonly issuances: Map<string, IssuanceState>;
  readonly spent: Map<string, number>;
  readonly seen: Map<string, number>;
  /** Indices of the lockdowns in force, by record id. */
  readonly lockdowns: Map<string, number>;
  /** Digests of all lockdowns there were, added and lifted, in order. */
  readonly sequence: string[];
  /** Takes the next record. */
  take(record: LedgerRecord, index: number): Finding[];
  /**
   * Takes the next record where nothing can be wrong with it and nothing but its id is kept, which lies in these bytes; else
   * false, and it is to be taken as any other. It has nothing of its own but its id and its expiry.
   */
  takeBare(common: Common, bytes: Uint8Array, from: number, index: number): boolean;
  /** From which it can be gone on. */
  readonly state: DerivedState;
}

export interface DerivedState {
  readonly epoch: number;
  readonly issuances: Map<string, IssuanceState>;
  readonly spent: Map<string, number>;
  readonly seen: Map<string, number>;
  readonly lockdowns: Map<string, number>;
  readonly sequence: string[];
  /** Indices of issuances and logins that had neither intent nor failure, each with the number of its writer. */
  readonly bare: UlidTableState | undefined;
  readonly writers: string[];
  /** Who spent a replay key. */
  readonly spenders: Map<string, { readonly request?: string | undefined; readonly writer: string }>;
}

type Report = (code: string, message: string) => void;

// They are taken under whatever epoch they say.
const anyEpoch: ReadonlySet<RecordType> = new Set<RecordType>(['failure', 'revocation', 'denial']);

const mostWriters = 2 ** 18;

const ulidAt = (bytes: Uint8Array, from: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + from, 26).toString('latin1');

const blank = (): DerivedState => ({
  epoch: 0,
  issuances: new Map(),
  spent: new Map(),
  seen: new Map(),
  lockdowns: new Map(),
  sequence: [],
  bare: undefined,
  writers: [],
  spenders: new Map(),
});

/**
 * `needIntent`: names of the kinds made at the target, whose issuance must follow an intent. `placed`: whether a replay key
 * is to be spent in this log.
 */
export function deriveTables(
  needIntent: ReadonlySet<string>,
  placed: (once: string) => boolean = () => true,
  from: DerivedState = blank(),
): Derived {
  const { writers, spenders } = from;
  const bare = openUlidTable(from.bare);
  const numbers = new Map(writers.map((name, at) => [name, at]));
  const { issuances, spent, seen: known, lockdowns, sequence } = from;
  /** The last one that had its record: what was seen stays seen. */
  let lastPolicy: string | undefined;

  const derived: Derived = {
    epoch: from.epoch,
    issuances,
    spent,
    seen: known,
    lockdowns,
    sequence,
    take(record, index) {
      const found: Finding[] = [];
      const report: Report = (code, message) => found.push({ index, code, message });
      epoch(record, index, report);
      once(record, index, report);
      issuance(record, index, report);
      seen(record, index, report);
      return found;
    },
    takeBare(common, bytes, from, index) {
      const { type, epoch, kind, policy } = common;
      if (policy !== undefined && policy !== lastPolicy) return false;
      if (type === 'denial') return true;
      if (epoch !== undefined && epoch !== derived.epoch) return false;
      if (type !== 'session' && (type !== 'issuance' || needIntent.has(kind ?? ''))) return false;
      // An issuance of which more is known than its own record.
      if (derived.issuances.size > 0 && derived.issuances.has(ulidAt(bytes, from))) return false;
      return bare.add(bytes, from, keptOf(common, index));
    },
    get state() {
      return { ...from, epoch: derived.epoch, bare: bare.state };
    },
  };

  function epoch(record: LedgerRecord, index: number, report: Report): void {
    if (record.type === 'lockdown') {
      if (record.epoch !== derived.epoch + 1)
        report('epoch_wrong', `a lockdown says epoch ${record.epoch} after ${derived.epoch}`);
      derived.epoch++;
      derived.sequence.push(sha256Url(recordText(record)));
      if (record.op === 'add') derived.lockdowns.set(record.id, index);
      else if (!derived.lockdowns.delete(record.target as string))
        report('lockdown_unknown', 'a lockdown is lifted that is not in force');
    } else if (record.epoch !== undefined && !anyEpoch.has(record.type) && record.epoch !== derived.epoch)
      report('epoch_wrong', `decided under epoch ${record.epoch} when it was ${derived.epoch}`);
  }

  function once(record: LedgerRecord, index: number, report: Report): void {
    const key = record.once;
    if (key === undefined) return;
    const spender = spenders.get(key);
    if (spender === undefined) {
      if (!placed(key)) report('shard_wrong', 'its replay key belongs to another shard');
      derived.spent.set(key, index);
      spenders.set(key, { request: record.request, writer: record.writer.name });
      return;
    }
    const sameRequest = record.request !== undefined && spender.request === record.request;
    if (sameRequest && spender.writer === record.writer.name) return;
    if (record.type === 'issuance' && derived.issuances.get(record.id)?.once === key) return;
    report('replayed', `its replay key was spent by entry ${derived.spent.get(key)}`);
  }

  function issuance(record: LedgerRecord, index: number, report: Report): void {
    const id = issuanceOf(record);
    if (id === undefined) {
      keepBare(record, index);
      return;
    }
    const state = derived.issuances.get(id) ?? bareOf(id);
    if (record.type === 'issuance' && needIntent.has(record.kind ?? '') && (state?.intent ?? null) === null)
      report('outcome_without_intent', `issuance ${id} had no intent`);
    try {
      const next = nextState(state, record, id, index, record.reason === 'mint_failed');
      if (next === undefined) keepBare(record, index);
      else derived.issuances.set(id, next);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      report(error.reason, `${record.type} of issuance ${id}`);
    }
  }

  // Most issuances are bare, so of each only one number is kept.
  function keepBare(record: LedgerRecord, index: number): void {
    if (record.type === 'issuance' || record.type === 'session') bare.set(record.id, keptOf(record, index));
  }

  function keptOf({ writer }: Pick<LedgerRecord, 'writer'>, index: number): number {
    let number = numbers.get(writer.name);
    if (number === undefined) {
      number = writers.push(writer.name) - 1;
      numbers.set(writer.name, number);
    }
    return index * mostWriters + Math.min(number, mostWriters - 1);
  }

  function bareOf(id: string): IssuanceState | undefined {
    const kept = bare.get(id);
    if (kept === undefined) return undefined;
    const writer = writers[kept % mostWriters] ?? '';
    return bareState({ id, type: 'issuance', writer, index: Math.floor(kept / mostWriters) });
  }

  function seen(record: LedgerRecord, index: number, report: Report): void {
    if (record.type === 'policy') keep(`policy:${record.hash}`);
    const key = keyNameOf(record);
    if (key !== undefined) keep(key);
    if (record.policy !== undefined && record.policy !== lastPolicy) {
      if (derived.seen.has(`policy:${record.policy}`)) lastPolicy = record.policy;
      else report('policy_unknown', 'decided under a policy that has no record before it');
    }

    function keep(name: string): void {
      if (!derived.seen.has(name)) derived.seen.set(name, index);
    }
  }

  return derived;
}
