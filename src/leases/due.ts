import { everyWriter, type Ledger, pendingPage } from '../ledger/ledger.ts';
import type { PendingState } from '../ledger/log-store.ts';
import { type LedgerRecord, parseRecord } from '../ledger/records/record.ts';
import type { Deadline } from '../lib/deadline.ts';
import { parseInstant } from '../lib/time.ts';
import { ulidTime } from '../lib/ulid.ts';
import type { Unsettled } from './unsettled.ts';

export interface DueDeps {
  readonly ledger: Pick<Ledger, 'issuance' | 'pending' | 'elsewhere' | 'shards'>;
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
/** Pages of one state looked at in one pass, of all logs together; the next pass goes on from there. */
const mostPages = 100;
/** Of a pass's time, what looking may take: what is found and not ended would be looked for again, and never end. */
const lookShare = 1 / 2;

/** Something to be ended: what is recorded first, and as what once it is gone. */
export interface Due {
  readonly record: LedgerRecord;
  readonly first?: 'failure' | 'revocation';
  readonly as: 'done' | 'expired';
}

/** What the ledger and this process know that is to be ended. */
export interface DueSearch {
  /** Never rejects. `failed`: why there may be more, as a log of the ledger could not be asked; what others have is there. */
  find(deadline: Deadline): Promise<{ readonly due: readonly Due[]; readonly failed?: { readonly error: unknown } }>;
  /** What of ours ended and is not known to be gone. `whole`: neither too many for one call, nor for its time. @throws Refusal */
  unrevoked(deadline: Deadline): Promise<{ readonly records: readonly LedgerRecord[]; readonly whole: boolean }>;
  isOurs(record: LedgerRecord): boolean;
  /** Whose records this process may ask for. */
  readonly writer: string | typeof everyWriter;
}

export function openDueSearch({ ledger, writer: own, policy, unsettled, limits, now }: DueDeps): DueSearch {
  // Through HTTP a writer sees its own alone.
  const writer = ledger.elsewhere === undefined ? everyWriter : own;
  const logs = ledger.shards ?? [ledger];
  const pagesOfOne = Math.ceil(mostPages / logs.length);
  /** By state and log. */
  const from = new Map<string, number>();

  /** Another broker's too, where it was made under this very policy: the same credentials, so the same targets. */
  const isOurs = ({ writer: { name }, policy: hash }: LedgerRecord): boolean => name === own || hash === policy.hash;

  async function pending(state: PendingState, log: number, deadline: Deadline, enough: Deadline) {
    const key = `${state} ${log}`;
    const start = from.get(key) ?? -1;
    const { records, after } = await walk(logs[log] ?? ledger, state, { start, pages: pagesOfOne }, deadline, enough);
    from.set(key, after ?? -1);
    return records;
  }

  /** Ours after that index, until there are no more, as many pages, or `enough` is over. `after`: there may be more after this one. */
  async function walk(
    of: Pick<Ledger, 'pending'>,
    state: PendingState,
    { start, pages: most }: { readonly start: number; readonly pages: number },
    deadline: Deadline,
    enough: Deadline,
  ) {
    const records: LedgerRecord[] = [];
    let after: number | undefined = start;
    for (let pages = 0; pages < most && after !== undefined; pages++) {
      const page = await of.pending(state, deadline.within(limits.ledgerMs), { writer, after });
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

  async function dueIn(log: number, deadline: Deadline, enough: Deadline): Promise<Due[]> {
    const due: Due[] = [];
    for (const record of await pending('open', log, deadline, enough)) {
      const grace = limits.requestMs + (record.writer.name === own ? skew : othersMs);
      const old = now() - (parseInstant(record.time) ?? now()) > grace;
      if (old) due.push({ record, first: 'failure', as: 'done' });
    }
    for (const record of await pending('expired', log, deadline, enough)) due.push({ record, as: 'expired' });
    for (const record of await pending('unrevoked', log, deadline, enough)) due.push({ record, as: 'done' });
    return due;
  }

  /** One look each: a log that is away keeps no other's from being found, and what it may have is looked for after them. */
  async function remembered(deadline: Deadline, enough: Deadline): Promise<PromiseSettledResult<Due[]>[]> {
    const found: PromiseSettledResult<Due[]>[] = [];
    for (const issuance of unsettled.list()) {
      if (enough.left() <= 0) break;
      const [one] = await Promise.allSettled([left(issuance, deadline)]);
      found.push(one);
      if (one.status === 'fulfilled') continue;
      unsettled.forget(issuance);
      unsettled.remember(issuance);
      // Behind a ledger that is asked over HTTP there may be others: it is looked for last by the next pass.
      if (logs.length === 1) break;
    }
    return found;
  }

  async function find(deadline: Deadline) {
    const enough = deadline.within(deadline.left() * lookShare);
    // A log that is away, or damaged, keeps nothing from being ended that others know of.
    const [own, told] = await Promise.all([
      remembered(deadline, enough),
      Promise.allSettled(logs.map((_, log) => dueIn(log, deadline, enough))),
    ]);
    const found = [...own, ...told];
    const due = found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    const failed = found.find((one) => one.status === 'rejected');
    return { due, ...(failed && { failed: { error: failed.reason } }) };
  }

  return {
    find,
    async unrevoked(deadline) {
      const { records, after } = await walk(ledger, 'unrevoked', { start: -1, pages: mostPages }, deadline, deadline);
      return { records, whole: after === undefined };
    },
    isOurs,
    writer,
  };
}
