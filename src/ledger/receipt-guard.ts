import { toBase64 } from '../lib/bytes.ts';
import type { Receipt } from './ledger.ts';
import { leafHash } from './merkle.ts';
import { ReceiptError, type receiptVerifier } from './receipt.ts';
import type { RecordText } from './record.ts';
import { unavailable } from './wire.ts';

/** Holds a ledger that is elsewhere to its word. One per process and ledger. */
export interface ReceiptGuard {
  /**
   * To be called as an append is sent; what it gives checks the receipts. Each must prove its own record, under the
   * pinned key, in a tree no smaller than the largest seen when that record was first sent: answers may overtake each
   * other, and a record sent again gets its first receipt.
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
  const floors = new Map<string, number>();
  let largest = 0;

  function floorOf({ record }: RecordText): number {
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
          const size = sizeProved(verify, receipt);
          if (size < (sent[at] ?? largest)) throw unavailable('receipt_smaller_tree');
          largest = Math.max(largest, size);
        }
      };
    },
  };
}

function sizeProved(verify: ReturnType<typeof receiptVerifier>, receipt: Receipt): number {
  try {
    return verify(receipt);
  } catch (error) {
    const reason = error instanceof ReceiptError && notItsKey.has(error.reason) ? 'receipt_key' : 'receipt_proof';
    throw unavailable(reason, error);
  }
}
