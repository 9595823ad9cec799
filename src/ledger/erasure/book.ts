import type { Deadline } from '../../lib/deadline.ts';
import type { Identity } from '../../lib/identity.ts';
import type { Lockdown } from '../../lib/lockdown.ts';
import { randomPool } from '../../lib/random-pool.ts';
import { Refusal } from '../../lib/refusal.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { instantMs } from '../../lib/time.ts';
import { newUlid } from '../../lib/ulid.ts';
import type { AppendResult, Ledger, Receipt } from '../ledger.ts';
import type { Holding } from '../log-store.ts';
import { disclose } from '../records/disclosure.ts';
import type { Disclosed, LedgerRecord, RecordText, RecordType, Writer } from '../records/record.ts';
import { written } from '../records/record.ts';

/** The members of a record that its event brings; the book adds version, id, time, writer and identity. */
export type Facts = Omit<Partial<LedgerRecord>, 'v' | 'type' | 'time' | 'writer' | 'identity'>;

export interface Subject {
  /** The issuer's name in the config, or `self`. */
  readonly issuer: string;
  readonly disclosed: Disclosed;
}

export interface Under {
  /** Default: the book's newest, for what nobody decided. */
  readonly epoch?: number;
  /** The replay key to spend. */
  readonly once?: string | undefined;
  /** How many leases of its credential the holder may have at once. */
  readonly max?: Holding | undefined;
}

/** Writes the broker's records: one writer, the newest epoch it has heard of, whether the ledger last answered well. */
export interface Book {
  readonly epoch: number;
  readonly lockdowns: readonly Lockdown[];
  /** The last append succeeded. */
  readonly well: boolean;
  newId(): string;
  write(type: RecordType, facts: Facts, subject?: Subject): RecordText;
  /**
   * Appends one record, durable when this resolves. What was decided is appended under the epoch it was decided under,
   * whatever the book has heard since. @throws Refusal; `stale` has already moved `epoch` and `lockdowns`
   */
  append(entry: RecordText, deadline: Deadline, under?: Under): Promise<{ receipt: Receipt; minted: string | null }>;
  /** The same for several, all or nothing; the answers are aligned. */
  appendAll(entries: readonly RecordText[], deadline: Deadline, under?: Under): Promise<AppendResult>;
  /**
   * Asks for the newest epoch and its lockdowns: at once where an epoch is known that was not heard of, else at most once a
   * second whoever asks. Without it, who appends nothing hears of no lockdown, and whose appends are all denials of none that
   * was lifted. Never rejects; what is known stands. False: the ledger did not say, whoever asked it last. Who must hear says
   * how long that may take, milliseconds, and asks again what was not answered.
   */
  refresh(deadline: Deadline, known?: number, mustMs?: number): Promise<boolean>;
}

/** Nothing is decided under it, so that the ledger says which epoch it is, and writes nothing. */
export const noEpoch = Number.MAX_SAFE_INTEGER;

/** What is appended under it. */
export function epochQuestion({ writer, now, random }: Pick<BookDeps, 'writer' | 'now' | 'random'>): RecordText {
  const time = instantMs(now());
  const record = { v: 1, type: 'summary', id: newUlid(now(), random), time, writer } as const;
  return written({ ...record, from: time, to: time, counts: {} });
}

/** Milliseconds; the second is how long whoever asks waits at most. */
const refreshEvery = 1_000;
const refreshMs = 500;

export interface BookDeps {
  readonly ledger: Ledger;
  /** The policy decided under, and the numbers for its record. */
  readonly policy: { readonly hash: string; readonly grants: number; readonly credentials: number };
  readonly writer: Writer;
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
}

export function openBook(deps: BookDeps): Book {
  const { ledger, policy, writer, now } = deps;
  const random = randomPool(deps.random);
  let epoch = 0;
  let lockdowns: readonly Lockdown[] = [];
  let well = true;
  let refreshedAt = Number.NEGATIVE_INFINITY;
  let refreshing: Promise<boolean> | undefined;
  let heard = true;

  const learn = (refusal: Refusal, sent: number) => {
    const { members } = refusal.options;
    if (typeof members?.epoch !== 'number') return;
    // Answers overtake each other. A ledger behind what it was sent has lost a lockdown with its newest entries.
    if (members.epoch <= epoch && (sent === noEpoch || members.epoch > sent)) return;
    epoch = members.epoch;
    lockdowns = (members.lockdowns ?? []) as readonly Lockdown[];
  };

  return {
    get epoch() {
      return epoch;
    },
    get lockdowns() {
      return lockdowns;
    },
    get well() {
      return well;
    },
    newId: () => newUlid(now(), random),
    write(type, facts, subject) {
      const id = facts.id ?? newUlid(now(), random);
      const time = instantMs(now());
      if (subject === undefined) return written({ ...facts, v: 1, type, id, time, writer });
      const { disclosure, who } = disclose(subject.disclosed, random);
      const identity = { issuer: subject.issuer, who };
      const record = { ...facts, v: 1, type, id, time, writer, identity } as const;
      // Cloned once it is whole: what grew member by member is read slower wherever it is looked at.
      return written({ ...record }, disclosure, subject.disclosed);
    },
    append: async (entry, deadline, under) => only(await appendAll([entry], deadline, under)),
    appendAll,
    async refresh(deadline, known = 0, mustMs) {
      const recent = refreshing === undefined && known <= epoch && Math.abs(now() - refreshedAt) < refreshEvery;
      if (recent && (heard || mustMs === undefined)) return heard;
      const joined = refreshing !== undefined;
      const answered = await askOnce(deadline, mustMs);
      // One that was under way may have been answered before what is known was there, or have had less time.
      const again = joined && (known > epoch || (!answered && mustMs !== undefined));
      return again ? askOnce(deadline, mustMs) : answered;
    },
  };

  function askOnce(deadline: Deadline, ms = refreshMs): Promise<boolean> {
    refreshing ??= askEpoch(deadline.within(ms))
      .then((answered) => {
        heard = answered;
        return answered;
      })
      .finally(() => {
        refreshedAt = now();
        refreshing = undefined;
      });
    return refreshing;
  }

  async function askEpoch(deadline: Deadline): Promise<boolean> {
    const entry = epochQuestion({ writer, now, random });
    try {
      await ledger.append({ entries: [entry], epoch: noEpoch, policy: policy.hash }, deadline);
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'stale') return false;
      learn(error, noEpoch);
    }
    return true;
  }

  async function appendAll(
    entries: readonly RecordText[],
    deadline: Deadline,
    under: Under = {},
  ): Promise<AppendResult> {
    const sent = under.epoch ?? epoch;
    try {
      const policyCounts = { grants: policy.grants, credentials: policy.credentials };
      const { once, max } = under;
      const request = { entries, epoch: sent, policy: policy.hash, policyCounts, once, max };
      const result = await ledger.append(request, deadline);
      well = true;
      return result;
    } catch (error) {
      const code = error instanceof Refusal ? error.code : 'internal';
      if (error instanceof Refusal && code === 'stale') learn(error, sent);
      if (code === 'stale' || code === 'replayed' || code === 'denied') throw error;
      well = false;
      // A record the ledger finds wrong (our clock, say) is no fault of the caller's.
      if (error instanceof Refusal && code === 'invalid_request') throw new Refusal('ledger_unavailable', error.reason);
      throw error;
    }
  }
}

function only(result: AppendResult): { receipt: Receipt; minted: string | null } {
  const receipt = result.receipts[0];
  if (receipt === undefined) throw new Refusal('ledger_unavailable', 'no_receipt');
  return { receipt, minted: result.minted[0] ?? null };
}

/** Whom a record is about, as the disclosure has it. */
export function subjectOf(identity: Identity, claims: JsonObject, more: Partial<Disclosed> = {}): Subject {
  const { name, iss, subject, token } = identity;
  return { issuer: identity.issuer, disclosed: { name, iss, subject, token, claims, ...more } };
}
