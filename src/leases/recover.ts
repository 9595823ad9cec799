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
   * remembers. The `failure` goes in first, so that a slow broker's own outcome is refused and undone by itself, or a
   * `revocation` where the issuance had landed unanswered; then the account is ended. What fails is remembered for the
   * next pass. Rejects with ledger_unavailable when the ledger is down.
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

/** Issuances looked at in one pass. */
const mostAtOnce = 100;

export function openRecovery(deps: RecoveryDeps): Recovery {
  const { book, ledger, limits, now } = deps;
  const remembered = new Set<string>();

  function remember(issuance: string): void {
    if (remembered.size < mostRemembered) remembered.add(issuance);
  }

  return {
    remember,
    async run(deadline) {
      for (const issuance of [...remembered].slice(0, mostAtOnce)) {
        const story = await ledger.issuance(issuance, deadline.within(limits.ledgerMs));
        await settle(issuance, story, deadline);
      }
      for (const entry of await ledger.pending('open', deadline.within(limits.ledgerMs))) {
        const { time, issuance } = parseRecord(entry.record);
        const old = now() - (parseInstant(time) ?? now()) > limits.requestMs + skew;
        if (old && issuance !== undefined) await settle(issuance, [entry], deadline);
      }
    },
  };

  /** Rejects for nothing: one that cannot be settled now keeps no other waiting. */
  async function settle(issuance: string, story: readonly Entry[], deadline: Deadline): Promise<void> {
    const known = remembered.delete(issuance);
    const records = story.map((entry) => parseRecord(entry.record));
    const first = records.find(({ type }) => type === 'intent') ?? records.find(({ type }) => type === 'issuance');
    if (first === undefined) return;
    const landed = records.some((record) => record.type === 'issuance');
    let over = records.some((record) => record.type === 'failure' || record.type === 'revocation');
    try {
      if (!over) await append(issuance, first, landed ? 'revocation' : 'failure', deadline);
      over = true;
      await end(issuance, first, deadline);
    } catch (error) {
      // Where our outcome was refused another's won: what it handed over is not ours to end.
      if (known || over) remember(issuance);
      const reason = error instanceof Refusal ? error.reason : 'internal';
      deps.log('error', 'recover_unfinished', { issuance, credential: first.credential, reason });
    }
  }

  async function append(
    issuance: string,
    { credential, kind }: LedgerRecord,
    type: 'failure' | 'revocation',
    deadline: Deadline,
  ): Promise<void> {
    const facts = { issuance, credential, kind, policy: deps.policy.hash, epoch: book.epoch, reason: 'abandoned' };
    await book.append(book.write(type, facts), deadline.within(limits.ledgerMs));
  }

  async function end(issuance: string, { credential: name, lease }: LedgerRecord, deadline: Deadline): Promise<void> {
    if (lease?.account === undefined) return;
    const credential = await deps.credentials.get(name ?? '')?.open();
    if (credential?.made !== 'target') {
      deps.log('error', 'recover_unfinished', { issuance, credential: name, reason: 'credential_gone' });
      return;
    }
    await credential.undo({ issuance, account: lease.account }, deadline.within(limits.mintMs));
    deps.log('info', 'recovered', { issuance, credential: name });
  }
}
