import { isJsonObject } from '../lib/strict-json.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { whoOf } from './disclosure.ts';
import type { Receipt } from './ledger.ts';
import { leafHash, verifyInclusion } from './merkle.ts';
import { NoteError, noteVerifier } from './note.ts';
import { parseProof } from './proof.ts';

/** Thrown for a receipt that proves nothing; `reason` is a stable word. */
export class ReceiptError extends Error {
  override readonly name = 'ReceiptError';
  constructor(readonly reason: string) {
    super(`the receipt does not verify: ${reason}`);
  }
}

/** Checks one receipt against the log's verifier key. @throws ReceiptError, or NoteError for a bad key */
export function verifyReceipt(receipt: Receipt, vkey: string): void {
  receiptVerifier(vkey)(receipt);
}

/** How many verified checkpoints are remembered: a batch's receipts share one, and a few batches may be under way. */
const remembered = 8;

/**
 * Checks receipts of one log and returns the size of the tree each is proved in. The signature of a checkpoint is
 * verified once for all receipts that carry it. The function throws ReceiptError.
 *
 * @throws NoteError for a bad key
 */
export function receiptVerifier(vkey: string): (receipt: Receipt) => number {
  const verifier = noteVerifier(vkey);
  const verified = new Map<string, Checkpoint>();

  function checkpointOf(note: string): Checkpoint {
    const known = verified.get(note);
    if (known !== undefined) return known;
    const checkpoint = opened(note);
    if (verified.size >= remembered) verified.delete(verified.keys().next().value as string);
    verified.set(note, checkpoint);
    return checkpoint;
  }

  function opened(note: string): Checkpoint {
    try {
      return openCheckpoint(verifier, note);
    } catch (error) {
      throw new ReceiptError(error instanceof NoteError ? error.reason : 'malformed');
    }
  }

  return (receipt) => {
    if (receipt.log !== verifier.name) throw new ReceiptError('wrong_log');
    const proof = parseProof(receipt.proof);
    if (proof === undefined) throw new ReceiptError('proof_malformed');
    if (proof.index !== receipt.index) throw new ReceiptError('wrong_index');
    const { size, root } = checkpointOf(proof.checkpoint);
    if (!verifyInclusion(leafHash(receipt.record), proof.index, size, proof.path, root))
      throw new ReceiptError('not_included');
    if (receipt.disclosure !== undefined && whoOf(receipt.disclosure) !== whoIn(receipt.record))
      throw new ReceiptError('wrong_disclosure');
    return size;
  };
}

// The record is proved to be in the log by now, so it is canonical and of the shape the log took.
function whoIn(record: string): unknown {
  const value: unknown = JSON.parse(record);
  return isJsonObject(value) && isJsonObject(value.identity) ? value.identity.who : undefined;
}
