import { before } from '../../lib/deadline.ts';
import type { Mint } from '../../lib/mint.ts';
import { Refusal } from '../../lib/refusal.ts';
import { type LeafAt, leafAt } from '../generation.ts';
import type { Receipt } from '../ledger.ts';
import type { Head, StoredEntry } from '../log-store.ts';
import type { RecordText } from '../records/record.ts';
import { type Grown, inclusionProof } from '../tree/merkle.ts';
import { formatProof } from '../tree/proof.ts';
import { hashesOf, readInclusionProof } from '../tree/tile.ts';
import { unavailable } from '../unavailable.ts';
import { DamagedLog } from './head-check.ts';
import type { LogParts } from './parts.ts';
import type { Placed } from './plan.ts';
import type { Waiting } from './queue.ts';

/** The tree a commit made. */
export type GrownLog = Grown & Pick<Head, 'generation' | 'base' | 'checkpoint'>;

export interface AnswersDeps extends LogParts {
  /** What could not be signed was not issued: the log says so itself. */
  readonly notIssued: (issuance: string) => Promise<void>;
}

/** Answers an append that is durable: with a receipt for each record, and with what is to be minted, signed. */
export function openAnswers({ store, signers, head, minter, log, notIssued }: AnswersDeps) {
  const receiptOf = (
    { generation, index }: LeafAt,
    text: RecordText,
    path: readonly Uint8Array[],
    checkpoint: string,
  ): Receipt => ({
    log: signers.of(generation).signer.name,
    index,
    record: text.record,
    ...(text.disclosure !== null && { disclosure: text.disclosure }),
    proof: formatProof({ index, path, checkpoint }),
  });

  function newReceipt(placed: Placed, grown: GrownLog | undefined): Receipt {
    if (grown === undefined) throw new Error('a new entry without a commit');
    const at = { ...grown, index: placed.index - grown.base };
    return receiptOf(at, placed.text, inclusionProof(at.index, grown.size, grown.node), grown.checkpoint);
  }

  /** The receipt that was given first: against the checkpoint that first covered the entry. */
  async function firstReceipt(placed: Placed): Promise<Receipt> {
    const { tree } = placed.stored as StoredEntry;
    const checkpoint = await store.checkpoint(tree);
    if (checkpoint === undefined) throw new DamagedLog(`the checkpoint that ends at ${tree} is missing`);
    const at = leafAt(head.newest, placed.index);
    const path = await readInclusionProof(hashesOf(store, at.base), at.index, tree - at.base);
    return receiptOf(at, placed.text, path, checkpoint);
  }

  async function sign(placed: Placed, mint: Mint, { ask, deadline }: Waiting): Promise<string> {
    const record = ask.entries.find(({ text }) => text === placed.text)?.record;
    try {
      if (minter === undefined || record === undefined) throw new Error('no minter');
      return await before(
        deadline,
        () => unavailable('mint_timeout'),
        () => minter.sign(mint, record, deadline),
      );
    } catch (cause) {
      const id = record?.id;
      const refused = cause instanceof Refusal ? cause : undefined;
      log('error', 'mint_failed', { issuance: id, ...refused?.options.facts, reason: refused?.reason });
      if (id !== undefined && placed.stored === undefined) await notIssued(id);
      throw refused ?? unavailable('mint_failed', cause);
    }
  }

  /** @throws Refusal ledger_unavailable where something was not signed; DamagedLog, StoreFault */
  return async (waiting: Waiting, placed: readonly Placed[], grown: GrownLog | undefined): Promise<void> => {
    if (waiting.done) return;
    const receipts: Receipt[] = [];
    for (const one of placed)
      receipts.push(one.stored === undefined ? newReceipt(one, grown) : await firstReceipt(one));
    if (placed.every(({ mint }) => mint === undefined)) {
      waiting.resolve({ receipts, minted: placed.map(() => null) });
      return;
    }
    const minted = await Promise.all(
      placed.map((one) => (one.mint === undefined ? null : sign(one, one.mint, waiting))),
    );
    waiting.resolve({ receipts, minted });
  };
}
