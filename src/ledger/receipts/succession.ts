import { fromBase64Url } from '../../lib/bytes.ts';
import { originOf } from '../generation.ts';
import type { Receipt } from '../ledger.ts';
import { type LedgerRecord, parseRecord, RecordError } from '../records/record.ts';
import { ReceiptError, type receiptVerifier } from './receipt.ts';

/** Where a log ended, as its successor's records say it. */
export interface Closing {
  /** The origin of the log that ended. */
  readonly log: string;
  /** The largest tree of it that the successor knows of. */
  readonly size: number;
  readonly root: Uint8Array;
  /** How many of its entries are still there; those from here to `size` are lost. */
  readonly kept: number;
}

/** What a `roll` record that begins a log says of the one before it; undefined for any other record. */
export function closingOf({ type, state, log, size, root, kept }: LedgerRecord): Closing | undefined {
  const hash = fromBase64Url(root ?? '');
  if (type !== 'roll' || state !== 'begin' || log === undefined || size === undefined || hash?.length !== 32)
    return undefined;
  return { log, size, root: hash, kept: kept ?? size };
}

/**
 * Where the logs of a line ended that came after generation `after`, up to `to`, by the records of their successors: the
 * first entry of each, and later ones of the same log that know of a larger tree. The largest counts.
 *
 * @throws ReceiptError unless each is proved to be in its log
 */
export function checkSuccession(
  check: ReturnType<typeof receiptVerifier>,
  items: readonly Receipt[],
  { line, after, to }: { readonly line: string; readonly after: number; readonly to: number },
): Closing[] {
  const closings = new Map<number, Closing>();
  for (const item of items) {
    const proved = check(item);
    const closing = closingOf(read(item.record));
    if (proved.line !== line || closing?.log !== originOf(line, proved.generation - 1))
      throw new ReceiptError('not_a_successor');
    const known = closings.get(proved.generation);
    if (known === undefined && item.index !== 0) throw new ReceiptError('not_a_successor');
    if (known === undefined || closing.size > known.size) closings.set(proved.generation, closing);
  }
  const found: Closing[] = [];
  for (let generation = after + 1; generation <= to; generation++) {
    const closing = closings.get(generation);
    if (closing === undefined) throw new ReceiptError('no_succession');
    found.push(closing);
  }
  return found;
}

function read(text: string): LedgerRecord {
  try {
    return parseRecord(text);
  } catch (error) {
    throw new ReceiptError(error instanceof RecordError ? error.reason : 'malformed');
  }
}
