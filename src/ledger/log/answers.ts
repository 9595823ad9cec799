import { before } from '../../lib/deadline.ts';
import type { Mint } from '../../lib/mint.ts';
import { Refusal } from '../../lib/refusal.ts';
import { type LeafAt, leafAt } from '../generation.ts';
import type { Receipt } from '../ledger.ts';
import type { Head, StoredEntry } from '../log-store.ts';
import type { RecordText } from '../records/record.ts';
import type { Grown } from '../tree/merkle.ts';
import { formatProof, proofsIn } from '../tree/proof.ts';
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
  const receiptOf = ({ generation, index }: Pick<LeafAt, 'generation' | 'index'>, text: RecordText, proof: string) => {
    const { record, disclosure } = text;
    const log = signers.of(generation).signer.name;
    const receipt: Receipt =
      disclosure === null ? { log, index, record, proof } : { log, index, record, disclosure, proof };
    return receipt;
  };

  /** Receipts of one commit come in a row. */
  let last: { readonly grown: GrownLog; readonly proofOf: (index: number) => string } | undefined;

  function newReceipt(placed: Placed, grown: GrownLog | undefined): Receipt {
    if (grown === undefined) throw new Error('a new entry without a commit');
    if (last?.grown !== grown) last = { grown, proofOf: proofsIn(grown, grown.checkpoint) };
    const index = placed.index - grown.base;
    return receiptOf({ generation: grown.generation, index }, placed.text, last.proofOf(index));
  }

  /** The receipt that was given first: against the checkpoint that first covered the entry. */
  async function firstReceipt(placed: Placed): Promise<Receipt> {
    const { tree } = placed.stored as StoredEntry;
    const checkpoint = await store.checkpoint(tree);
    if (checkpoint === undefined) throw new DamagedLog(`the checkpoint that ends at ${tree} is missing`);
    const at = leafAt(head.newest, placed.index);
    const path = await readInclusionProof(hashesOf(store, at.base), at.index, tree - at.base);
    return receiptOf(at, placed.text, formatProof({ index: at.index, path, checkpoint }));
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
