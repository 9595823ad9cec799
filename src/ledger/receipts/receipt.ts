import { isJsonObject } from '../../lib/strict-json.ts';
import type { Receipt } from '../ledger.ts';
import { type LogName, lineOf, logNamed } from '../log-name.ts';
import { whoOf } from '../records/disclosure.ts';
import { type Checkpoint, openCheckpoint } from '../tree/checkpoint.ts';
import { leafHash, verifyInclusion } from '../tree/merkle.ts';
import { NoteError, type NoteVerifier, noteVerifier, vkeyAs } from '../tree/note.ts';
import { parseProof } from '../tree/proof.ts';

/** Thrown for a receipt that proves nothing; `reason` is a stable word. */
export class ReceiptError extends Error {
  override readonly name = 'ReceiptError';
  constructor(readonly reason: string) {
    super(`the receipt does not verify: ${reason}`);
  }
}

/** Checks one receipt against the ledger's verifier key. @throws ReceiptError, or NoteError for a bad key */
export function verifyReceipt(receipt: Receipt, vkey: string): void {
  receiptVerifier(vkey)(receipt);
}

/** How many verified checkpoints are remembered: a batch's receipts share one, and a few batches may be under way. */
const remembered = 8;
/** How many logs of the ledger: its shards, and for a while those that were closed. */
const rememberedLogs = 128;

/** The tree that a receipt was proved in. */
export interface ProvedIn extends LogName {
  /** The name of the first of the logs that follow each other there. */
  readonly line: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/**
 * Checks receipts of one ledger and says which tree each is proved in. Its shards and later generations sign with the
 * ledger's own key under names of theirs, so that key is enough. The signature of a checkpoint is verified once for all
 * receipts that carry it. The function throws ReceiptError.
 *
 * @throws NoteError for a bad key
 */
export function receiptVerifier(vkey: string): (receipt: Receipt) => ProvedIn {
  const own = noteVerifier(vkey);
  const logs = new Map([[own.name, own]]);
  const verified = new Map<string, Checkpoint>();

  function verifierOf(name: string): NoteVerifier {
    const known = logs.get(name);
    if (known !== undefined) return known;
    const verifier = noteVerifier(vkeyAs(vkey, name));
    keep(logs, name, verifier, rememberedLogs);
    return verifier;
  }

  function checkpointOf(note: string, log: string): Checkpoint {
    const known = verified.get(note);
    if (known !== undefined && known.origin === log) return known;
    const checkpoint = opened(note, log);
    keep(verified, note, checkpoint, remembered);
    return checkpoint;
  }

  function opened(note: string, log: string): Checkpoint {
    try {
      return openCheckpoint(verifierOf(log), note);
    } catch (error) {
      throw new ReceiptError(error instanceof NoteError ? error.reason : 'malformed');
    }
  }

  return (receipt) => {
    const log = logNamed(own.name, receipt.log);
    if (log === undefined) throw new ReceiptError('wrong_log');
    const proof = parseProof(receipt.proof);
    if (proof === undefined) throw new ReceiptError('proof_malformed');
    if (proof.index !== receipt.index) throw new ReceiptError('wrong_index');
    const { size, root } = checkpointOf(proof.checkpoint, receipt.log);
    if (!verifyInclusion(leafHash(receipt.record), proof.index, size, proof.path, root))
      throw new ReceiptError('not_included');
    if (receipt.disclosure !== undefined && whoOf(receipt.disclosure) !== whoIn(receipt.record))
      throw new ReceiptError('wrong_disclosure');
    return { ...log, line: lineOf(receipt.log, log), size, root };
  };
}

function keep<V>(map: Map<string, V>, key: string, value: V, most: number): void {
  if (map.size >= most) map.delete(map.keys().next().value as string);
  map.set(key, value);
}

// The record is proved to be in the log by now, so it is canonical and of the shape the log took.
function whoIn(record: string): unknown {
  const value: unknown = JSON.parse(record);
  return isJsonObject(value) && isJsonObject(value.identity) ? value.identity.who : undefined;
}
