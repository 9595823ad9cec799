import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { instantMs } from '../../lib/time.ts';
import { newUlid } from '../../lib/ulid.ts';
import type { AppendResult } from '../ledger.ts';
import { type Change, type Found, HeadMoved, StoreFault, TooMuch } from '../log-store.ts';
import { keyName, recordText } from '../records/record.ts';
import { ownRights } from '../records/writer.ts';
import { unavailable } from '../unavailable.ts';
import { type GrownLog, openAnswers } from './answers.ts';
import { isRefusing, openAssuming } from './assumed.ts';
import { changeOf } from './change.ts';
import { bytesOf, examine } from './examine.ts';
import { storeTime, untilLanded } from './landing.ts';
import type { LogParts } from './parts.ts';
import { type Ask, type Plan, plan, wantedBy } from './plan.ts';
import { openQueue, type Waiting } from './queue.ts';

/** Records that may wait for a commit. */
const queueRecords = 10_000;
/** As many waiting make a batch that need not wait for more. */
const fullEnough = 32;
/** A store is slow when as many commits in a row took as long; milliseconds. */
const slow = { commits: 8, ms: 2 } as const;
/** A commit this young says that the log is well; milliseconds. */
const wellTime = 1_000;

export interface Appends {
  /** Resolves once it is durable. @throws Refusal ledger_unavailable when it is full or closed */
  enqueue(ask: Ask, deadline: Deadline): Promise<AppendResult>;
  /** Whether an append would go through now. @throws Refusal, StoreFault */
  probe(): Promise<void>;
  /** Takes no more, and answers what waits. */
  close(): Promise<void>;
}

/**
 * One serial loop that takes what waits, looks up what the checks need, plans, signs the checkpoint, commits, signs what is
 * to be minted and answers.
 */
export function openAppends(parts: LogParts): Appends {
  const { store, signers, head, turns, now, random, writer, minter, log, gate, gather = async () => {} } = parts;
  const queue = openQueue(queueRecords, store.room);
  const own = ownRights(writer.name);
  const answer = openAnswers({ ...parts, notIssued });
  const assuming = openAssuming();
  /** Names of keys whose record is known to be there. */
  const recorded = new Set<string>();
  let committedAt = Number.NEGATIVE_INFINITY;
  /** Commits in a row that were slow. */
  let slowCommits = 0;
  let closed = false;
  let running = false;
  let probing: Promise<void> | undefined;
  /** Tells a batch that is durable, once the next is handed to the store. */
  let untold: (() => void) | undefined;

  function enqueue(ask: Ask, deadline: Deadline): Promise<AppendResult> {
    if (closed) throw unavailable('closed');
    gate?.admit();
    const answered = queue.push(ask, bytesOf(ask.request), deadline);
    store.poll?.();
    if (!running) {
      running = true;
      queueMicrotask(run);
    }
    return answered;
  }

  async function run(): Promise<void> {
    while (!queue.empty) {
      // The one or the other: a loop that turns slowly must not keep the store waiting for the next batch.
      await Promise.race([gather(), queue.filled(fullEnough)]);
      const done = turns.serially(() => appendBatch(queue.take()));
      // Nobody waits for a store that has to be asked before.
      if (untold !== undefined) gather().then(tellLast);
      await done;
    }
    running = false;
  }

  function tellLast(): void {
    const tell = untold;
    untold = undefined;
    tell?.();
  }

  async function appendBatch(batch: readonly Waiting[]): Promise<void> {
    if (batch.length === 0) return tellLast();
    try {
      if (head.suspect) await head.recover();
      const asks = batch.map(({ ask }) => ask);
      const { planned, grown } = await commit(asks);
      const held = hold(asks, planned, grown);
      tellLast();
      untold = () => tellAll(batch, planned, grown, held);
      // A slow store, or one that gets a full batch, would wait for the answers of this one.
      if (queue.size < (slowCommits < slow.commits ? fullEnough : 1)) tellLast();
    } catch (error) {
      tellLast();
      if (error instanceof TooMuch && batch.length > 1) {
        const half = batch.length >> 1;
        await appendBatch(batch.slice(0, half));
        return appendBatch(batch.slice(half));
      }
      const refusal = turns.refusalFor(error);
      for (const waiting of batch) waiting.reject(refusal);
    }
  }

  /** What holds back the answers of a batch; a refusal waits for nothing. Its own rejection is each answer's. */
  function hold(
    asks: readonly Ask[],
    { outcomes, drafted }: Plan,
    grown: GrownLog | undefined,
  ): Promise<void> | undefined {
    if (gate === undefined) return undefined;
    const many = outcomes.filter((outcome) => !(outcome instanceof Refusal)).length;
    if (many === 0) return undefined;
    const { newest } = head;
    // A key that has its record already is in no outcome.
    const isWhole = grown !== undefined || asks.some(({ keys }) => keys !== undefined);
    const whole = newest.base + newest.size;
    const begin = grown && whole - drafted.length;
    const held = gate.hold(newest.generation, () => (isWhole ? whole : endOf(outcomes)), many, begin);
    held?.catch(() => {});
    return held;
  }

  function tellAll(
    batch: readonly Waiting[],
    { outcomes }: Plan,
    grown: GrownLog | undefined,
    held: Promise<void> | undefined,
  ): void {
    for (const [at, outcome] of outcomes.entries()) {
      const waiting = batch[at] as Waiting;
      if (outcome instanceof Refusal) waiting.reject(outcome);
      else {
        const made = () => answer(waiting, outcome, grown);
        (held?.then(made) ?? made()).catch((error) => waiting.reject(turns.refusalFor(error)));
      }
    }
  }

  function commit(asks: readonly Ask[]): Promise<{ planned: Plan; grown?: GrownLog }> {
    const keyRecords = unrecorded();
    const attempt = async (deadline: Deadline) => {
      const context = { now: now(), random, writer, keyRecords, minter };
      const wanted = wantedBy(asks, context);
      const assumption = store.finds === true ? assuming.of(head.newest, asks, wanted) : undefined;
      if (assumption !== undefined) {
        const planned = plan(assumption.found, asks, context);
        if (!isRefusing(planned)) {
          try {
            return await land(assumption.found, planned, deadline, assumption.assumed);
          } catch (error) {
            if (!(error instanceof HeadMoved)) throw error;
            assuming.missed();
          }
        }
      }
      const found = head.trusted(await store.find({ ...wanted, known: head.newest }, deadline));
      return await land(found, plan(found, asks, context), deadline);
    };
    const land = async (found: Found, planned: Plan, deadline: Deadline, assumed?: Change['assumed']) => {
      if (planned.drafted.length === 0) {
        if (planned.outcomes.some((outcome) => !(outcome instanceof Refusal))) await store.settle?.(deadline);
        return { planned };
      }
      const { change, grown } = changeOf(found, planned, signers.of(found.head.generation).signer);
      const started = now();
      const committed = store.commit(assumed === undefined ? change : { ...change, assumed }, deadline);
      tellLast();
      await committed;
      head.landed(change.head);
      committedAt = now();
      slowCommits = committedAt - started < slow.ms ? 0 : slowCommits + 1;
      assuming.landed(found, planned, change.head);
      for (const key of keyRecords) recorded.add(keyName(writer.name, key));
      const { generation, base, checkpoint } = change.head;
      return { planned, grown: { ...grown, generation, base, checkpoint } };
    };
    return untilLanded(parts, attempt, fault);
  }

  function fault(error: unknown): void {
    if (error instanceof TooMuch) return;
    if (!(error instanceof StoreFault && error.harmless)) head.doubt();
    committedAt = Number.NEGATIVE_INFINITY;
    assuming.forget();
  }

  const isWell = (): boolean => Math.abs(now() - committedAt) < wellTime;

  async function probeOnce(): Promise<void> {
    if (isWell()) return;
    await store.probe(deadlineIn(storeTime, now));
    committedAt = now();
  }

  const unrecorded = () => (parts.keyRecords?.() ?? []).filter((key) => !recorded.has(keyName(writer.name, key)));

  async function notIssued(issuance: string): Promise<void> {
    const record = { v: 1, type: 'failure', id: newUlid(now(), random), time: instantMs(now()) } as const;
    const text = { record: recordText({ ...record, writer, issuance, reason: 'mint_failed' }), disclosure: null };
    const request = { entries: [text], epoch: head.newest.epoch };
    const ask: Ask = { request, writer: own, local: true, entries: examine(request, own), afterSigning: true };
    try {
      await enqueue(ask, deadlineIn(storeTime, now));
    } catch {
      log('error', 'mint_failure_unrecorded', { issuance });
    }
  }

  return {
    enqueue,
    async probe() {
      if (closed) throw unavailable('closed');
      if (isWell()) return;
      // One for all who ask meanwhile: anybody may, and appends wait for their turn behind it.
      probing ??= turns.serially(probeOnce).finally(() => {
        probing = undefined;
      });
      await probing;
    },
    async close() {
      closed = true;
      await turns.serially(async () => {});
      while (!queue.empty) await turns.serially(() => appendBatch(queue.take()));
      tellLast();
    },
  };
}

/** The position behind all that these outcomes tell of, where nothing new was written. */
const endOf = (outcomes: Plan['outcomes']): number =>
  Math.max(
    0,
    ...outcomes.flatMap((outcome) => (outcome instanceof Refusal ? [] : outcome.map(({ index }) => index + 1))),
  );
