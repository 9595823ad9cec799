import { kinds } from '../credentials/index.ts';
import type { ConfiguredCredential } from '../credentials/kind.ts';
import type { Book, Facts, Subject } from '../ledger/erasure/book.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { issuanceOf, type LedgerRecord, parseRecord } from '../ledger/records/record.ts';
import type { Deadline } from '../lib/deadline.ts';
import { Refusal } from '../lib/refusal.ts';
import { parseInstant } from '../lib/time.ts';

export interface EndingDeps {
  readonly book: Book;
  readonly ledger: Pick<Ledger, 'issuance'>;
  readonly credentials: ReadonlyMap<string, ConfiguredCredential>;
  readonly policy: { readonly hash: string };
  readonly limits: { readonly ledgerMs: number; readonly mintMs: number };
  readonly now: () => number;
}

/** A lease as what is to end knows it. */
export interface Ending {
  /** Its issuance, or its intent where it never landed. */
  readonly record: LedgerRecord;
  /** From its handle. */
  readonly kept?: string | undefined;
  /** Its time is over. */
  readonly expired: boolean;
}

/** What a record about a lease names. */
export interface About {
  readonly issuance: string;
  readonly credential?: string | undefined;
  readonly kind?: string | undefined;
}

/** From its issuance or its intent. */
export const aboutOf = (record: LedgerRecord): About => {
  const { credential, kind } = record;
  return { issuance: issuanceOf(record) ?? '', credential, kind };
};

type Told = 'revocation' | 'failure';

/** Ends leases at their targets, and writes what is recorded of it before and after. */
export interface Ender {
  /**
   * `gone`: nothing of it is left. `lives_on`: it cannot be ended before its time. `nothing`: no target knows of it, so
   * it ends with its time alone. @throws Refusal store_failed or store_timeout when it is not known to be gone:
   * `credential_gone`, `target_changed` where the config has not, or not there, what the lease was made of
   */
  end(ending: Ending, deadline: Deadline): Promise<'gone' | 'lives_on' | 'nothing'>;
  /** Appends a `revocation` (or a `failure`) about the lease of that record. @throws Refusal ledger_unavailable */
  record(
    type: Told,
    reason: string,
    of: About,
    deadline: Deadline,
    more?: { readonly facts?: Facts; readonly subject?: Subject | undefined },
  ): Promise<void>;
}

export function openEnder({ book, ledger, credentials, policy, limits, now }: EndingDeps): Ender {
  /** A ledger that is asked over HTTP says only that it refused: whether another was first is in what it has. */
  async function whyRefused(error: unknown, type: Told, reason: string, issuance: string, deadline: Deadline) {
    if (reasonOf(error) !== 'refused_by_ledger') return error;
    const story = await ledger.issuance(issuance, deadline.within(limits.ledgerMs)).catch(() => []);
    const first = story.some(({ record }) => saysAlready(parseRecord(record), type, reason));
    return first ? new Refusal('ledger_unavailable', 'already_said', { cause: error }) : error;
  }

  return {
    async end({ record, kept, expired }, deadline) {
      const { lease } = record;
      const { issuance, credential: name } = aboutOf(record);
      const held = { issuance, ...(lease?.account && { account: lease.account }), ...(kept !== undefined && { kept }) };
      const configured = configuredFor(record, credentials.get(name ?? ''));
      const isElsewhere = configured?.target?.isOther(record.version) === true;
      const credential = await configured?.open();
      const until = deadline.within(limits.mintMs);
      if (credential?.made === 'target') {
        // Of what others share, one lease alone ends with its time.
        if (lease?.revocable === false && !expired) return 'lives_on';
        // A server that only got another name has the account; that it is not there says nothing of the other one.
        await credential.undo(held, until).catch((error) => {
          if (!isElsewhere) throw error;
        });
        if (isElsewhere) throw targetChanged();
        return 'gone';
      }
      if (lease?.revocable === true || (expired && wasShared(record)))
        throw new Refusal('store_failed', 'credential_gone');
      if (credential === undefined) return expired ? 'gone' : 'lives_on';
      if (credential.made !== 'read' || credential.end === undefined) return 'nothing';
      // What the handle keeps is that target's alone.
      if (isElsewhere && kept !== undefined) throw targetChanged();
      // What was fetched lives as long as its own end says, and its lease may be over sooner.
      if (await credential.end(held, until)) return 'gone';
      return isOver(record, now(), credential.life) ? 'gone' : 'lives_on';
    },
    async record(type, reason, about, deadline, { facts, subject } = {}) {
      const decided = { policy: policy.hash, epoch: book.epoch, reason };
      const entry = book.write(type, { ...facts, ...about, ...decided }, subject);
      await book.append(entry, deadline.within(limits.ledgerMs)).catch(async (error) => {
        throw await whyRefused(error, type, reason, about.issuance, deadline);
      });
    },
  };
}

/** The entry of its name says another target by now, at which it was never made. */
const targetChanged = (): Refusal => new Refusal('store_failed', 'target_changed');

/** The credential that a lease was of: one of another kind by the same name knows nothing of it. */
export const configuredFor = (
  { kind }: Pick<LedgerRecord, 'kind'>,
  configured: ConfiguredCredential | undefined,
): ConfiguredCredential | undefined => (configured?.kind === kind ? configured : undefined);

/** An account that others had too: once its time is over, it is for whoever made it to end. */
const wasShared = ({ kind, lease }: LedgerRecord): boolean =>
  lease?.revocable === false &&
  lease.account !== undefined &&
  kinds.find(({ name }) => name === kind)?.made === 'target';

const isOver = ({ time }: LedgerRecord, now: number, life = Number.POSITIVE_INFINITY): boolean =>
  now >= (parseInstant(time) ?? now) + life * 1000;

/** A stable word for why something did not end. */
export const reasonOf = (error: unknown): string => (error instanceof Refusal ? error.reason : 'internal');

const gone: ReadonlySet<string> = new Set(['done', 'expired']);

/** Whether this record of an issuance leaves no room for one of that type and reason. */
function saysAlready({ type, reason = '' }: LedgerRecord, next: Told, why: string): boolean {
  if (next === 'failure') return type === 'issuance' || type === 'failure';
  if (type === 'failure') return reason !== 'abandoned';
  return type === 'revocation' && (gone.has(reason) || (reason === 'unrevoked' && why === reason));
}

/** Reasons for which the ledger refuses a record that another has written already. */
const others: ReadonlySet<string> = new Set([
  'already_done',
  'already_told',
  'second_outcome',
  'ended',
  'already_said',
]);

/** Whether a record was refused because another process was first. */
export const isOthers = (error: unknown): boolean => others.has(reasonOf(error));
