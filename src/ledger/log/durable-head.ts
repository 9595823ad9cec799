import { equalBytes } from '../../lib/bytes.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import type { OperatorLog } from '../../lib/platform.ts';
import type { Generations } from '../generation.ts';
import type { Found, Head, LogStore } from '../log-store.ts';
import { endOf } from './draft.ts';
import { checkGrown, checkHead, checkSigned, DamagedLog } from './head-check.ts';
import { storeTime } from './landing.ts';
import type { AnswerGate } from './parts.ts';

export interface DurableHeadDeps {
  readonly store: LogStore;
  readonly signers: Generations;
  readonly now: () => number;
  readonly log: OperatorLog;
  readonly gate?: Pick<AnswerGate, 'doubted'>;
}

/** What a log knows of what its store holds. */
export interface DurableHead {
  /** The newest head known to be durable. */
  readonly newest: Head;
  /** A fault whose outcome is unknown came: nothing is appended or read before the store was opened anew. */
  readonly suspect: boolean;
  /** What was looked up, on a head that is ours. @throws DamagedLog */
  trusted(found: Found): Found;
  /** A commit of ours is durable. */
  landed(head: Head): void;
  doubt(): void;
  /** Opens the store anew and checks what it holds against what is known. @throws DamagedLog, StoreFault */
  recover(): Promise<void>;
}

/** Reads and checks the head of a log. @throws DamagedLog, StoreFault */
export async function openDurableHead({ store, signers, now, log, gate }: DurableHeadDeps): Promise<DurableHead> {
  let newest = await store.head();
  await checkHead(store, newest, signers.of(newest.generation).verifier);
  let suspect = false;

  return {
    get newest() {
      return newest;
    },
    get suspect() {
      return suspect;
    },
    /** A head that is ours already needs no check; another process's must be signed by our key and no smaller. */
    trusted(found) {
      if (found.head.checkpoint === newest.checkpoint && equalBytes(found.head.root, newest.root))
        return { ...found, head: newest };
      if (endOf(found.head) < endOf(newest)) throw new DamagedLog('it has lost entries');
      checkSigned(found.head, signers.of(found.head.generation).verifier);
      newest = found.head;
      return found;
    },
    landed(head) {
      newest = head;
    },
    doubt() {
      suspect = true;
    },
    async recover() {
      await store.reopen(deadlineIn(storeTime, now));
      const found = await store.head();
      await checkHead(store, found, signers.of(found.generation).verifier);
      await checkGrown(store, found, newest);
      newest = found;
      suspect = false;
      gate?.doubted?.();
      log('info', 'ledger_recovered', { size: newest.size });
    },
  };
}
