import { toBase64Url } from '../../lib/bytes.ts';
import type { LedgerRecord } from '../records/record.ts';
import type { Finding } from './derive.ts';

/** A log that is gone through, or was. */
export interface PassedLog {
  readonly origin: string;
  /** Of its first entry. */
  readonly base: number;
  readonly size: number;
}

/** Entries that a log is known to have had and that are lost, as its successor says. */
export interface Gap {
  readonly log: string;
  /** Leaves [from, to). */
  readonly from: number;
  readonly to: number;
}

/** What is asked of a record; only a `roll` has all of it. */
type Rolling = Pick<LedgerRecord, 'type' | 'state' | 'log' | 'size' | 'root' | 'kept'>;

/** Follows a ledger from one log to the next: each must commit to the one before, and end by naming the one after. */
export interface Rolls {
  /** The next record of `log`, by its index there. */
  take(record: Rolling, leaf: number, log: PassedLog): readonly Finding[];
  /** A log is over; `next` is the one after it, if there is one. */
  end(log: PassedLog, root: Uint8Array, next: PassedLog | undefined): readonly Finding[];
  readonly gaps: readonly Gap[];
  /** From which it can be gone on. */
  readonly state: RollsState;
}

export interface RollsState {
  readonly before: (PassedLog & { readonly root: string; readonly named: boolean }) | undefined;
  readonly gaps: ReadonlyMap<string, Gap>;
  /** Where the log at hand says that it ends. */
  readonly ended: { readonly leaf: number; readonly successor: string | undefined } | undefined;
  /** It began as it must. */
  readonly begun: boolean;
}

const nothing: RollsState = { before: undefined, gaps: new Map(), ended: undefined, begun: false };

/** `closedOnly`: what is gone through has closed logs alone, so that the last of them names one that is not there. */
export function followRolls(from: RollsState = nothing, closedOnly = false): Rolls {
  let { before, ended, begun } = from;
  const gaps = new Map(from.gaps);

  const wrong = (index: number, message: string): Finding => ({ index, code: 'roll_wrong', message });

  /** What a log says of the one before it. */
  function begin({ log, size = 0, root, kept }: Rolling, leaf: number, index: number): Finding[] {
    const first = leaf === 0;
    if (first) begun = true;
    if (before === undefined) return [wrong(index, 'it begins a log that follows none')];
    if (log !== before.origin) return [wrong(index, 'it follows another log than the one before')];
    if (kept === undefined) {
      if (!first) return [wrong(index, 'the log had begun before')];
      if (!before.named) return [wrong(index, 'the log before did not end by naming it')];
      return size === before.size && root === before.root
        ? []
        : [wrong(index, 'it commits to another tree than the log before')];
    }
    if (kept !== before.size || size < kept || (size === kept && root !== before.root))
      return [wrong(index, 'what it says was kept of the log before is not what is there')];
    const known = gaps.get(before.origin);
    if (!first && size <= (known?.to ?? kept)) return [wrong(index, 'a claim to no more than was known')];
    if (size > kept) gaps.set(before.origin, { log: before.origin, from: kept, to: size });
    return [];
  }

  return {
    get gaps() {
      return [...gaps.values()];
    },
    get state() {
      return { before, gaps, ended, begun };
    },
    take(record, leaf, log) {
      const index = log.base + leaf;
      const found: Finding[] = [];
      if (leaf === 0 && before !== undefined && (record.type !== 'roll' || record.state !== 'begin'))
        found.push(wrong(index, 'a log begins without committing to the one before'));
      if (ended !== undefined) found.push(wrong(index, 'an entry behind the end of its log'));
      if (record.type !== 'roll') return found;
      if (record.state === 'begin') return [...found, ...begin(record, leaf, index)];
      ended = { leaf, successor: record.log };
      return found;
    },
    end(log, root, next) {
      const last = ended !== undefined && ended.leaf === log.size - 1;
      const named = last && (ended?.successor === next?.origin || (next === undefined && closedOnly));
      const found =
        ended !== undefined && !named
          ? [wrong(log.base + ended.leaf, 'a log ends and is not followed by the one it names')]
          : [];
      if (before !== undefined && !begun && log.size === 0)
        found.push(wrong(log.base, 'a log that follows another has no first entry'));
      before = { ...log, root: toBase64Url(root), named };
      ended = undefined;
      begun = false;
      return found;
    },
  };
}
