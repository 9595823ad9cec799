import type { Receipt } from './ledger.ts';
import { noteVerifier } from './note.ts';
import { ReceiptError, receiptVerifier } from './receipt.ts';
import { unavailable } from './wire.ts';

/** Holds a ledger that is elsewhere to its word. One per process and ledger. */
export interface ReceiptGuard {
  readonly origin: string;
  /** The largest tree seen so far; to be read when an append is sent, as answers may overtake each other. */
  largest(): number;
  /**
   * Each receipt must prove its own record, in a tree of at least `floor` entries that the pinned key signed.
   *
   * @throws Refusal ledger_unavailable: `receipt_key`, `receipt_proof` or `receipt_smaller_tree`
   */
  check(receipts: readonly Receipt[], floor: number): void;
}

const notItsKey: ReadonlySet<string> = new Set(['wrong_log', 'wrong_origin', 'not_signed', 'bad_signature']);

/** @throws NoteError for a bad key */
export function receiptGuard(vkey: string): ReceiptGuard {
  const verify = receiptVerifier(vkey);
  let largest = 0;
  return {
    origin: noteVerifier(vkey).name,
    largest: () => largest,
    check(receipts, floor) {
      for (const receipt of receipts) {
        const size = sizeProved(verify, receipt);
        if (size < floor) throw unavailable('receipt_smaller_tree');
        largest = Math.max(largest, size);
      }
    },
  };
}

function sizeProved(verify: (receipt: Receipt) => number, receipt: Receipt): number {
  try {
    return verify(receipt);
  } catch (error) {
    const reason = error instanceof ReceiptError && notItsKey.has(error.reason) ? 'receipt_key' : 'receipt_proof';
    throw unavailable(reason, error);
  }
}
