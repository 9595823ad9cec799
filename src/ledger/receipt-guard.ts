import { toBase64 } from '../lib/bytes.ts';
import type { Receipt } from './ledger.ts';
import { leafHash } from './merkle.ts';
import { type ProvedIn, ReceiptError, type receiptVerifier } from './receipt.ts';
import type { RecordText } from './record.ts';
import { unavailable } from './wire.ts';

/** Holds a ledger that is elsewhere to its word. One per process and ledger. */
export interface ReceiptGuard {
  /**
   * To be called as an append is sent; what it gives checks the receipts. Each must prove its own record, under the
   * pinned key, in a tree no smaller than the largest of its shard seen when that record was first sent: answers may
   * overtake each other, and a record sent again gets its first receipt. Any tree of a later generation is larger.
   *
   * The check throws Refusal ledger_unavailable: `receipt_key`, `receipt_proof` or `receipt_smaller_tree`.
   */
  sending(entries: readonly RecordText[]): (receipts: readonly Receipt[]) => void;
}

/** How many records are remembered in case they are sent again. */
const remembered = 1_024;

const notItsKey: ReadonlySet<string> = new Set(['wrong_log', 'wrong_origin', 'not_signed', 'bad_signature']);

/** `verifier` gives what checks a receipt under the pinned key; it is asked for when there are receipts to check. */
export function receiptGuard(verifier: () => ReturnType<typeof receiptVerifier>): ReceiptGuard {
  const floors = new Map<string, Trees>();
  let largest: Trees = new Map();

  function floorOf({ record }: RecordText): Trees {
    const key = toBase64(leafHash(record));
    const floor = floors.get(key) ?? largest;
    if (floors.size >= remembered) floors.delete(floors.keys().next().value as string);
    floors.set(key, floor);
    return floor;
  }

  return {
    sending(entries) {
      const sent = entries.map(floorOf);
      return (receipts) => {
        const verify = verifier();
        for (const [at, receipt] of receipts.entries()) {
          const tree = proved(verify, receipt);
          const floor = (sent[at] ?? largest).get(tree.shard);
          if (floor !== undefined && isLarger(floor, tree)) throw unavailable('receipt_smaller_tree');
          const known = largest.get(tree.shard);
          if (known === undefined || isLarger(tree, known)) largest = new Map(largest).set(tree.shard, tree);
        }
      };
    },
  };
}

/** The largest tree of each shard; never changed once made, as floors share it. */
type Trees = ReadonlyMap<number | undefined, ProvedIn>;

const isLarger = (one: ProvedIn, other: ProvedIn): boolean =>
  one.generation === other.generation ? one.size > other.size : one.generation > other.generation;

function proved(verify: ReturnType<typeof receiptVerifier>, receipt: Receipt): ProvedIn {
  try {
    return verify(receipt);
  } catch (error) {
    const reason = error instanceof ReceiptError && notItsKey.has(error.reason) ? 'receipt_key' : 'receipt_proof';
    throw unavailable(reason, error);
  }
}
