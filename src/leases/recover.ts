import type { ConfiguredCredential } from '../credentials/kind.ts';
import type { Book } from '../ledger/book.ts';
import type { Entry, Ledger } from '../ledger/ledger.ts';
import { type LedgerRecord, parseRecord } from '../ledger/record.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import { parseInstant } from '../lib/time.ts';

/** A clock may be this far off, milliseconds. */
const skew = 60_000;
const mostRemembered = 10_000;

export interface Recovery {
  /** Remembers an issuance whose record or account this process could not finish. */
  remember(issuance: string): void;
  /**
   * Settles what was left open: intents without outcome that are older than any request can be, and what this process
   * remembers. The `failure` goes in first, so that a slow broker's own outcome is refused and undone by itself; then the
   * account is ended. What fails stays open for the next pass. Rejects with ledger_unavailable when the ledger is down.
   */
  run(deadline: Deadline): Promise<void>;
}

export interface RecoveryDeps {
  readonly book: Book;
  readonly ledger: Pick<Ledger, 'issuance' | 'pending'>;
  readonly credentials: ReadonlyMap<string, ConfiguredCredential>;
  readonly policy: { readonly hash: string };
  readonly limits: { readonly requestMs: number; readonly ledgerMs: number; readonly mintMs: number };
  readonly now: () => number;
  readonly log: OperatorLog;
}

export function openRecovery(deps: RecoveryDeps): Recovery {
  const { book, ledger, limits, now } = deps;
  const remembered = new Set<string>();

  return {
    remember(issuance) {
      if (remembered.size < mostRemembered) remembered.add(issuance);
    },
    async run(deadline) {
      for (const issuance of [...remembered].slice(0, 100)) {
        const story = await ledger.issuance(issuance, deadline.within(limits.ledgerMs));
        remembered.delete(issuance);
        await settle(story, deadline);
      }
      for (const intent of await ledger.pending('open', deadline.within(limits.ledgerMs))) {
        const record = parseRecord(intent.record);
        if (now() - (parseInstant(record.time) ?? now()) > limits.requestMs + skew) await settle([intent], deadline);
      }
    },
  };

  async function settle(story: readonly Entry[], deadline: Deadline): Promise<void> {
    const records = story.map((entry) => parseRecord(entry.record));
    const intent = records.find((record) => record.type === 'intent');
    if (intent === undefined) return;
    const landed = records.some((record) => record.type === 'issuance');
    const over = records.some((record) => record.type === 'failure' || record.type === 'revocation');
    if (!over) await append(intent, landed ? 'revocation' : 'failure', deadline);
    await end(intent, deadline);
  }

  async function append(intent: LedgerRecord, type: 'failure' | 'revocation', deadline: Deadline): Promise<void> {
    const { issuance, credential, kind } = intent;
    const facts = { issuance, credential, kind, policy: deps.policy.hash, epoch: book.epoch, reason: 'abandoned' };
    await book.append(book.write(type, facts), deadline.within(limits.ledgerMs));
  }

  async function end(intent: LedgerRecord, deadline: Deadline): Promise<void> {
    const account = intent.lease?.account;
    const credential = await deps.credentials.get(intent.credential ?? '')?.open();
    if (account === undefined || credential?.made !== 'target') return;
    try {
      await credential.undo(account, deadline.within(limits.mintMs));
      deps.log('info', 'recovered', { issuance: intent.issuance, credential: intent.credential });
    } catch (error) {
      if (intent.issuance !== undefined) remembered.add(intent.issuance);
      const reason = error instanceof Refusal ? error.reason : 'internal';
      deps.log('error', 'recover_unfinished', { issuance: intent.issuance, credential: intent.credential, reason });
    }
  }
}
