import { equalBytes, toBase64 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { originOf } from '../generation.ts';
import type { Receipt } from '../ledger.ts';
import type { RecordText } from '../records/record.ts';
import { leafHash } from '../tree/merkle.ts';
import { unavailable } from '../unavailable.ts';
import { type ProvedIn, ReceiptError, type receiptVerifier } from './receipt.ts';
import { type Closing, checkSuccession } from './succession.ts';

/** Holds a ledger that is elsewhere to its word. One per process and ledger. */
export interface ReceiptGuard {
  /**
   * To be called as an append is sent; what it gives checks the receipts. Each must prove its own record, under the
   * pinned key, in a tree no smaller than the largest seen when that record was first sent: answers may overtake each
   * other, and a record sent again gets its first receipt. A log that follows another is believed once its first records
   * commit to the largest tree that was seen of the one before.
   *
   * The check rejects with Refusal ledger_unavailable: `receipt_key`, `receipt_proof`, `receipt_smaller_tree`,
   * `receipt_other_tree`, `receipt_succession`.
   */
  sending(entries: readonly RecordText[]): (receipts: readonly Receipt[], deadline: Deadline) => Promise<void>;
  /** The largest tree seen of the newest log, by line. */
  readonly seen: ReadonlyMap<string, Seen>;
}

/** A tree that was seen, and the checkpoint that says so. */
export interface Seen extends ProvedIn {
  readonly checkpoint: string;
}

export interface GuardDeps {
  /** What checks a receipt under the pinned key; asked for when there are receipts to check. */
  readonly checker: () => ReturnType<typeof receiptVerifier>;
  /** The records by which the logs after a generation of this line began. */
  readonly succession: (line: string, after: number, deadline: Deadline) => Promise<readonly Receipt[]>;
  /** Shows the ledger a checkpoint of a log before its own that is larger than it knew of; gives the succession anew. */
  readonly claim: (seen: Seen, deadline: Deadline) => Promise<readonly Receipt[]>;
}

/** How many records are remembered in case they are sent again. */
const remembered = 1_024;

const notItsKey: ReadonlySet<string> = new Set(['wrong_log', 'wrong_origin', 'not_signed', 'bad_signature']);

export function receiptGuard({ checker, succession, claim }: GuardDeps): ReceiptGuard {
  const floors = new Map<string, ReadonlyMap<string, Seen>>();
  /** Replaced, never changed: each record sent keeps the one of its time. */
  let seen: ReadonlyMap<string, Seen> = new Map();
  const closed = new Map<string, Closing>();

  function floorOf({ record }: RecordText): ReadonlyMap<string, Seen> {
    const key = toBase64(leafHash(record));
    const floor = floors.get(key) ?? seen;
    if (floors.size >= remembered) floors.delete(floors.keys().next().value as string);
    floors.set(key, floor);
    return floor;
  }

  async function take(receipt: Receipt, floor: ReadonlyMap<string, Seen>, deadline: Deadline): Promise<void> {
    const check = checker();
    const proved = proving(() => check(receipt));
    if (isSmaller(proved, floor.get(proved.line))) throw unavailable('receipt_smaller_tree');
    const { proof } = receipt;
    const here: Seen = { ...proved, checkpoint: proof.slice(proof.indexOf('\n\n') + 2) };
    // Others may see more of the old log while it is asked how it ended: that too must not be forgotten.
    for (let known = seen.get(proved.line), asked: Seen | undefined; known !== asked; known = seen.get(proved.line)) {
      asked = known;
      if (known !== undefined && proved.generation > known.generation) await follow(check, known, proved, deadline);
    }
    const newer = seen.get(proved.line);
    // The newer log was seen first, by another append that was under way.
    if (newer !== undefined && proved.generation < newer.generation && !closed.has(receipt.log))
      await follow(check, here, newer, deadline);
    const end = closed.get(receipt.log);
    if (end !== undefined && (proved.size > end.size || receipt.index >= end.kept))
      throw unavailable('receipt_succession');
    const newest = seen.get(proved.line);
    if (isOther(proved, newest)) throw unavailable('receipt_other_tree');
    if (newest === undefined || isSmaller(newest, proved)) seen = new Map(seen).set(proved.line, here);
  }

  /** The logs that came after the one that is known must say where it ended, and not before what was seen of it. */
  async function follow(
    check: ReturnType<typeof receiptVerifier>,
    known: Seen,
    newer: ProvedIn,
    deadline: Deadline,
  ): Promise<void> {
    const span = { line: known.line, after: known.generation, to: newer.generation };
    let items = await asking(succession(known.line, known.generation, deadline));
    let closings = proving(() => checkSuccession(check, items, span));
    if ((closings[0]?.size ?? 0) < known.size) {
      items = await asking(claim(known, deadline));
      closings = proving(() => checkSuccession(check, items, span));
    }
    const first = closings[0] as Closing;
    if (first.size < known.size) throw unavailable('receipt_smaller_tree');
    if (first.size === known.size && !equalBytes(first.root, known.root)) throw unavailable('receipt_succession');
    for (const [at, closing] of closings.entries()) closed.set(originOf(span.line, span.after + at), closing);
  }

  return {
    get seen() {
      return seen;
    },
    sending(entries) {
      const sent = entries.map(floorOf);
      return async (receipts, deadline) => {
        for (const [at, receipt] of receipts.entries()) await take(receipt, sent[at] ?? seen, deadline);
      };
    },
  };
}

const isSmaller = (one: ProvedIn, other: ProvedIn | undefined): boolean =>
  other !== undefined &&
  (one.generation < other.generation || (one.generation === other.generation && one.size < other.size));

/** Of one size there is one tree: whoever shows two lost entries and went on, or shows others another log. */
const isOther = (one: ProvedIn, other: ProvedIn | undefined): boolean =>
  one.generation === other?.generation && one.size === other.size && !equalBytes(one.root, other.root);

/** Whatever it is that the ledger does not tell: the append itself was not refused, so its outcome is not known. */
const asking = <T>(work: Promise<T>): Promise<T> =>
  work.catch((error) => {
    throw error instanceof Refusal && error.code === 'ledger_unavailable'
      ? error
      : unavailable('receipt_succession', error);
  });

function proving<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ReceiptError)) throw error;
    throw unavailable(notItsKey.has(error.reason) ? 'receipt_key' : 'receipt_proof', error);
  }
}
