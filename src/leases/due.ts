import { everyWriter, type Ledger, pendingPage } from '../ledger/ledger.ts';
import type { PendingState } from '../ledger/log-store.ts';
import { type LedgerRecord, parseRecord } from '../ledger/records/record.ts';
import type { Deadline } from '../lib/deadline.ts';
import { parseInstant } from '../lib/time.ts';
import { ulidTime } from '../lib/ulid.ts';
import type { Unsettled } from './unsettled.ts';

export interface DueDeps {
  readonly ledger: Pick<Ledger, 'issuance' | 'pending' | 'elsewhere'>;
  /** `broker.url`. */
  readonly writer: string;
  readonly policy: { readonly hash: string };
  readonly unsettled: Unsettled;
  readonly limits: { readonly requestMs: number; readonly ledgerMs: number };
  readonly now: () => number;
}

/** A clock may be this far off, milliseconds. */
const skew = 60_000;
/** Another broker's intents, made under this very policy, are its own business for this long; its limits may be others. */
const othersMs = 900_000;
/** Pages of one state looked at in one pass; the next pass goes on from there. */
const mostPages = 100;
/** Of a pass's time, what looking may take: what is found and not ended would be looked for again, and never end. */
const lookShare = 1 / 2;

/** Something to be ended: what is recorded first, and as what once it is gone. */
export interface Due {
  readonly record: LedgerRecord;
  readonly first?: 'failure' | 'revocation';
  readonly as: 'done' | 'expired';
}

/** What the ledger and this process know that is to be ended. Rejects with Refusal ledger_unavailable. */
export interface DueSearch {
  find(deadline: Deadline): Promise<Due[]>;
  /** What of ours ended and is not known to be gone. `whole`: neither too many for one call, nor for its time. */
  unrevoked(deadline: Deadline): Promise<{ readonly records: readonly LedgerRecord[]; readonly whole: boolean }>;
  isOurs(record: LedgerRecord): boolean;
  /** Whose records this process may ask for. */
  readonly writer: string | typeof everyWriter;
}

export function openDueSearch({ ledger, writer: own, policy, unsettled, limits, now }: DueDeps): DueSearch {
  // Through HTTP a writer sees its own alone.
  const writer = ledger.elsewhere === undefined ? everyWriter : own;
  const from = new Map<PendingState, number>();

  /** Another broker's too, where it was made under this very policy: the same credentials, so the same targets. */
  const isOurs = ({ writer: { name }, policy: hash }: LedgerRecord): boolean => name === own || hash === policy.hash;

  async function pending(state: PendingState, deadline: Deadline, enough: Deadline): Promise<LedgerRecord[]> {
    const { records, after } = await walk(state, from.get(state) ?? -1, deadline, enough);
    from.set(state, after ?? -1);
    return records;
  }

  /** Ours after that index, until there are no more, or `enough` is over. `after`: there may be more after this one. */
  async function walk(state: PendingState, start: number, deadline: Deadline, enough: Deadline) {
    const records: LedgerRecord[] = [];
    let after: number | undefined = start;
    for (let pages = 0; pages < mostPages && after !== undefined; pages++) {
      const page = await ledger.pending(state, deadline.within(limits.ledgerMs), { writer, after });
      records.push(...page.map(({ record }) => parseRecord(record)).filter(isOurs));
      after = page.length < pendingPage ? undefined : page.at(-1)?.index;
      if (enough.left() <= 0) break;
    }
    return { records, after };
  }

  /** What this process could not finish, by what the ledger has of it. */
  async function left(issuance: string, deadline: Deadline): Promise<Due[]> {
    const story = await ledger.issuance(issuance, deadline.within(limits.ledgerMs));
    const records = story.map(({ record }) => parseRecord(record));
    const landed = records.find(({ type }) => type === 'issuance');
    const record = landed ?? records.find(({ type }) => type === 'intent');
    const over = records.some(({ type }) => type === 'failure' || type === 'revocation');
    if (record === undefined || over) {
      unsettled.forget(issuance);
      // What nobody had an answer for may land still: it is looked for again, after the others.
      if (!over && now() - ulidTime(issuance) <= limits.requestMs + skew) unsettled.remember(issuance);
      return [];
    }
    return [{ record, first: landed === undefined ? 'failure' : 'revocation', as: 'done' }];
  }

  async function find(deadline: Deadline): Promise<Due[]> {
    const due: Due[] = [];
    const enough = deadline.within(deadline.left() * lookShare);
    for (const issuance of unsettled.list()) {
      if (enough.left() <= 0) break;
      due.push(...(await left(issuance, deadline)));
    }
    for (const record of await pending('open', deadline, enough)) {
      const grace = limits.requestMs + (record.writer.name === own ? skew : othersMs);
      const old = now() - (parseInstant(record.time) ?? now()) > grace;
      if (old) due.push({ record, first: 'failure', as: 'done' });
    }
    for (const record of await pending('expired', deadline, enough)) due.push({ record, as: 'expired' });
    for (const record of await pending('unrevoked', deadline, enough)) due.push({ record, as: 'done' });
    return due;
  }

  return {
    find,
    async unrevoked(deadline) {
      const { records, after } = await walk('unrevoked', -1, deadline, deadline);
      return { records, whole: after === undefined };
    },
    isOurs,
    writer,
  };
}
