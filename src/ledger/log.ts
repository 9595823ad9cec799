import { equalBytes } from '../lib/bytes.ts';
import { before, type Deadline, deadlineIn } from '../lib/deadline.ts';
import type { Mint } from '../lib/mint.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import { instantMs } from '../lib/time.ts';
import { newUlid } from '../lib/ulid.ts';
import { changeOf } from './change.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { endOf } from './draft.ts';
import { bytesOf, examine, invalid } from './examine.ts';
import { generations, type LeafAt, leafAt, originOf } from './generation.ts';
import { checkGrown, checkHead, checkSigned, DamagedLog } from './head-check.ts';
import {
  type AppendRequest,
  type AppendResult,
  everyWriter,
  type KeyRecord,
  type Ledger,
  type LogReader,
  type OwnKeys,
  type PublicKeys,
  pendingPage,
  type Receipt,
  type Rolled,
  type RollRequest,
  type Texts,
} from './ledger.ts';
import { logNamed } from './log-name.ts';
import {
  type Change,
  type Found,
  type Head,
  HeadMoved,
  type LogStore,
  type StoredEntry,
  StoreFault,
  TooMuch,
  type Wanted,
} from './log-store.ts';
import { type Grown, inclusionProof } from './merkle.ts';
import { NoteError, type NoteSigner, type NoteVerifier } from './note.ts';
import { type Ask, type Placed, type Plan, plan, wantedBy } from './plan.ts';
import { formatProof } from './proof.ts';
import { openQueue, unavailable, type Waiting } from './queue.ts';
import { openReader } from './reader.ts';
import { keyName, parseRecord, type RecordText, recordText, type Writer } from './record.ts';
import { type Copied, CopyError, halvesOf, replayOf, wantedByCopy } from './replay.ts';
import { claimOf, rollOf } from './roll.ts';
import { closingOf } from './succession.ts';
import { hashesOf, readInclusionProof } from './tile.ts';
import { type Minter, ownRights, type WriterRights } from './writer.ts';

export interface LogDeps {
  readonly store: LogStore;
  /** Of the checkpoints; its name is the log's origin. */
  readonly signer: NoteSigner;
  readonly minter?: Minter;
  readonly keyRecords?: () => readonly KeyRecord[];
  readonly keys: PublicKeys;
  /** This deployment's own broker, and who signs what the log itself writes. */
  readonly writer: Writer;
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  readonly log: OperatorLog;
  /** Lets all who are about to append come in before a batch is taken: the fuller it is, the less each record costs. */
  readonly gather?: () => Promise<void>;
}

type GrownLog = Grown & Pick<Head, 'generation' | 'base' | 'checkpoint'>;

export type Log = Ledger &
  Required<Pick<Ledger, 'accept' | 'reader' | 'ownKeys' | 'texts' | 'erase' | 'roll' | 'claim' | 'adopt' | 'copy'>>;

/** Records that may wait for a commit. */
const queueRecords = 10_000;
/** As many waiting make a batch that need not wait for more. */
const fullEnough = 32;
/** A commit, or the opening after a fault, may take this long; milliseconds. */
const storeTime = 2_000;
/** How often a batch is planned again because another process moved the head. */
const tries = 20;
/** Between tries, milliseconds. */
const backOffMs = { least: 8, most: 512 } as const;
/** A commit this young says that the log is well; milliseconds. */
const wellTime = 1_000;

/**
 * Opens a log over its tables: one serial loop takes what waits, looks up what the checks need, plans, signs the
 * checkpoint, commits, signs what is to be minted and answers.
 *
 * @throws DamagedLog, StoreFault
 */
export async function openLog(deps: LogDeps): Promise<Log> {
  const { store, signer, now, random, writer, gather = async () => {} } = deps;
  const signers = generations(signer);
  const queue = openQueue(queueRecords, store.room);
  const own = ownRights(writer.name);
  /** Names of keys whose record is known to be there. */
  const recorded = new Set<string>();
  /** The newest head known to be durable. */
  let head = await store.head();
  await checkHead(store, head, signers.of(head.generation).verifier);
  /** A fault whose outcome is unknown came: nothing is appended or read before the store was opened anew. */
  let suspect = false;
  let committedAt = Number.NEGATIVE_INFINITY;
  let closed = false;
  let running = false;
  let turn: Promise<unknown> = Promise.resolve();

  /** One at a time: commits, recoveries and probes. */
  function serially<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(work);
    turn = mine.catch(() => {});
    return mine;
  }

  function enqueue(ask: Ask, deadline: Deadline): Promise<AppendResult> {
    if (closed) throw unavailable('closed');
    const answer = queue.push(ask, bytesOf(ask.request), deadline);
    store.poll?.();
    if (!running) {
      running = true;
      queueMicrotask(run);
    }
    return answer;
  }

  async function run(): Promise<void> {
    while (!queue.empty) {
      // The one or the other: a loop that turns slowly must not keep the store waiting for the next batch.
      await Promise.race([gather(), queue.filled(fullEnough)]);
      await serially(() => appendBatch(queue.take()));
    }
    running = false;
  }

  async function appendBatch(batch: readonly Waiting[]): Promise<void> {
    if (batch.length === 0) return;
    try {
      if (suspect) await recover();
      const asks = batch.map(({ ask }) => ask);
      const { planned, grown } = await commit(asks);
      planned.outcomes.forEach((outcome, at) => {
        const waiting = batch[at] as Waiting;
        if (outcome instanceof Refusal) waiting.reject(outcome);
        else answer(waiting, outcome, grown).catch((error) => waiting.reject(refusalFor(error)));
      });
    } catch (error) {
      if (error instanceof TooMuch && batch.length > 1) {
        const half = batch.length >> 1;
        await appendBatch(batch.slice(0, half));
        return appendBatch(batch.slice(half));
      }
      const refusal = refusalFor(error);
      for (const waiting of batch) waiting.reject(refusal);
    }
  }

  async function commit(asks: readonly Ask[]): Promise<{ planned: Plan; grown?: GrownLog }> {
    const deadline = deadlineIn(storeTime, now);
    const keyRecords = unrecorded();
    for (let attempt = 0; attempt < tries; attempt++) {
      try {
        const context = { now: now(), random, writer, keyRecords, minter: deps.minter };
        const found = trusted(await store.find(wantedBy(asks, context), deadline));
        const planned = plan(found, asks, context);
        if (planned.drafted.length === 0) return { planned };
        const { change, grown } = changeOf(found, planned, signers.of(found.head.generation).signer);
        await store.commit(change, deadline);
        head = change.head;
        committedAt = now();
        for (const key of keyRecords) recorded.add(keyName(writer.name, key));
        return {
          planned,
          grown: { ...grown, generation: head.generation, base: head.base, checkpoint: head.checkpoint },
        };
      } catch (error) {
        if (error instanceof TooMuch) throw error;
        if (error instanceof HeadMoved) {
          await backOff(attempt, deadline);
          continue;
        }
        suspect = true;
        committedAt = Number.NEGATIVE_INFINITY;
        throw error;
      }
    }
    throw unavailable('contended');
  }

  /** So that many processes that moved the head under each other do not do so again: four times as long each time, with jitter. */
  async function backOff(attempt: number, deadline: Deadline): Promise<void> {
    const wait = Math.min(backOffMs.least * 4 ** attempt, backOffMs.most) * ((random(1)[0] as number) / 256);
    if (wait >= deadline.left()) throw unavailable('contended');
    await new Promise((resolve) => setTimeout(resolve, wait));
  }

  const unrecorded = (): readonly KeyRecord[] =>
    (deps.keyRecords?.() ?? []).filter((key) => !recorded.has(keyName(writer.name, key)));

  /** A head that is ours already needs no check; another process's must be signed by our key and no smaller. */
  function trusted(found: Found): Found {
    if (found.head.checkpoint === head.checkpoint && equalBytes(found.head.root, head.root)) return { ...found, head };
    if (endOf(found.head) < endOf(head)) throw new DamagedLog('it has lost entries');
    checkSigned(found.head, signers.of(found.head.generation).verifier);
    head = found.head;
    return found;
  }

  /** One commit that the log makes of itself: planned on the newest head until it lands; undefined where none is wanted. */
  async function commitOwn(
    planned: (found: Found) => Change | undefined | Promise<Change | undefined>,
    wanted: Wanted = wantedBy([], { keyRecords: [], writer, now: now() }),
  ): Promise<boolean> {
    if (suspect) await recover();
    const deadline = deadlineIn(storeTime, now);
    for (let attempt = 0; attempt < tries; attempt++) {
      try {
        const change = await planned(trusted(await store.find(wanted, deadline)));
        if (change === undefined) return false;
        await store.commit(change, deadline);
        head = change.head;
        return true;
      } catch (error) {
        if (error instanceof HeadMoved) {
          await backOff(attempt, deadline);
          continue;
        }
        if (!(error instanceof Refusal || error instanceof TooMuch || error instanceof CopyError)) suspect = true;
        throw error;
      }
    }
    throw unavailable('contended');
  }

  const rolling = () => ({ now: now(), random, writer, origin: signer.name, signers });

  async function roll({ generation, ...how }: RollRequest): Promise<Rolled> {
    let closing = generation;
    const done = await commitOwn(({ head: newest }) => {
      closing ??= newest.generation;
      return closing === newest.generation ? rollOf(newest, how, rolling()) : undefined;
    });
    return { log: originOf(signer.name, head.generation), generation: head.generation, done };
  }

  async function claim(note: string): Promise<void> {
    await commitOwn(async ({ head: newest }) => {
      const named = logNamed(signer.name, note.slice(0, note.indexOf('\n')));
      const generation = newest.generation - 1;
      if (named?.generation !== generation || named.shard !== undefined) throw invalid('not_the_log_before');
      const checkpoint = openOrRefuse(signers.of(generation).verifier, note);
      const known = (await reader.succession(generation, deadlineIn(storeTime, now)))
        .map(({ record }) => closingOf(parseRecord(record)))
        .filter((closing) => closing !== undefined);
      const kept = newest.ended.at(-1)?.size ?? 0;
      // What ended in peace has no larger tree: one would be another log under the same name.
      if (parseRecord((await store.entries(newest.base, newest.base + 1))[0]?.record ?? '').kept === undefined)
        throw invalid('ended_in_peace');
      if (known.some(({ size }) => size >= checkpoint.size)) return undefined;
      return claimOf(newest, checkpoint, kept, rolling());
    });
  }

  async function recover(): Promise<void> {
    const deadline = deadlineIn(storeTime, now);
    await store.reopen(deadline);
    const found = await store.head();
    await checkHead(store, found, signers.of(found.generation).verifier);
    await checkGrown(store, found, head);
    head = found;
    suspect = false;
    deps.log('info', 'ledger_recovered', { size: head.size });
  }

  function refusalFor(error: unknown): Refusal {
    if (error instanceof Refusal) return error;
    if (error instanceof TooMuch) return new Refusal('too_large', 'entries_too_many');
    const reason = error instanceof StoreFault ? error.reason : error instanceof DamagedLog ? 'damaged' : 'internal';
    const words = error instanceof DamagedLog || reason === 'internal' ? String(error) : undefined;
    deps.log('error', 'ledger_failed', { reason, ...(words !== undefined && { error: words }) });
    return unavailable(reason, error);
  }

  async function answer(waiting: Waiting, placed: readonly Placed[], grown: GrownLog | undefined): Promise<void> {
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
  }

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
    const at = leafAt(head, placed.index);
    const path = await readInclusionProof(hashesOf(store, at.base), at.index, tree - at.base);
    return receiptOf(at, placed.text, path, checkpoint);
  }

  async function sign(placed: Placed, mint: Mint, { ask, deadline }: Waiting): Promise<string> {
    const record = ask.entries.find(({ text }) => text === placed.text)?.record;
    try {
      const minter = deps.minter;
      if (minter === undefined || record === undefined) throw new Error('no minter');
      return await before(
        deadline,
        () => unavailable('mint_timeout'),
        () => minter.sign(mint, record, deadline),
      );
    } catch (cause) {
      const id = record?.id;
      const refused = cause instanceof Refusal ? cause : undefined;
      deps.log('error', 'mint_failed', { issuance: id, ...refused?.options.facts, reason: refused?.reason });
      if (id !== undefined && placed.stored === undefined) await appendMintFailure(id);
      throw refused ?? unavailable('mint_failed', cause);
    }
  }

  /** What could not be signed was not issued: the log says so itself. */
  async function appendMintFailure(issuance: string): Promise<void> {
    const record = { v: 1, type: 'failure', id: newUlid(now(), random), time: instantMs(now()) } as const;
    const text = { record: recordText({ ...record, writer, issuance, reason: 'mint_failed' }), disclosure: null };
    const request = { entries: [text], epoch: head.epoch };
    const ask: Ask = { request, writer: own, local: true, entries: examine(request, own), afterSigning: true };
    await enqueue(ask, deadlineIn(storeTime, now)).catch(() => {
      deps.log('error', 'mint_failure_unrecorded', { issuance });
    });
  }

  function append(
    request: AppendRequest,
    rights: WriterRights,
    local: boolean,
    deadline: Deadline,
  ): Promise<AppendResult> {
    return enqueue({ request, writer: rights, local, entries: examine(request, rights) }, deadline);
  }

  async function adopt(copied: Copied): Promise<number> {
    try {
      await commitOwn(
        (found) => (copied.from < endOf(found.head) ? undefined : replayOf(found, copied, signers, now())),
        wantedByCopy(copied, now()),
      );
    } catch (error) {
      if (error instanceof CopyError || error instanceof NoteError) throw invalid('copy', error.message);
      // By then the whole was found to be right.
      if (error instanceof TooMuch && copied.entries.length > 1) {
        const [first, second] = halvesOf(copied);
        await adopt(first);
        return adopt(second);
      }
      throw error;
    }
    return endOf(head);
  }

  /** As an append: refusals stay what they are, all else is the log's own failure. */
  const alone = <T>(deadline: Deadline, work: () => Promise<T>): Promise<T> =>
    before(
      deadline,
      () => unavailable('timeout'),
      () =>
        serially(work).catch((error) => {
          throw refusalFor(error);
        }),
    );

  /** Its writer's name was verified where it was recorded first. */
  async function copy(text: RecordText, deadline: Deadline): Promise<void> {
    const request = { entries: [text], epoch: head.epoch };
    const rights = ownRights(parseRecord(text.record).writer.name);
    await enqueue({ request, writer: rights, local: true, entries: examine(request, rights), copied: true }, deadline);
  }

  /** Reads what is there; after a fault only once the log has recovered. */
  async function reading<T>(deadline: Deadline, work: () => Promise<T>): Promise<T> {
    try {
      return await before(
        deadline,
        () => unavailable('timeout'),
        async () => {
          if (suspect) await serially(async () => suspect && (await recover()));
          return await work();
        },
      );
    } catch (error) {
      if (error instanceof StoreFault) suspect = true;
      throw refusalFor(error);
    }
  }

  /** Whoever comes over HTTP begins and ends no key of ours, even where the config gives it our own name. */
  const outside = (rights: WriterRights): WriterRights =>
    rights.name === writer.name ? { ...rights, types: without(rights.types, 'key') } : rights;

  const reader: LogReader = openReader({ store, signers, reading });
  const ownKeys: OwnKeys = {
    list: (from, deadline) => reading(deadline, async () => (await store.keys(writer.name, from, 1000)).map(toEntry)),
    async record(begin, end, deadline) {
      const request = { entries: [], epoch: head.epoch };
      await enqueue({ request, writer: own, local: true, entries: [], keys: { begin, end } }, deadline);
    },
  };

  const texts: Texts = {
    read: (name, deadline) => reading(deadline, () => store.text(name)),
    write: (name, was, text, deadline) =>
      reading(deadline, () => serially(() => store.keepText(name, was, text, deadline))),
  };

  return {
    origin: signer.name,
    append: async (request, deadline) => append(request, own, true, deadline),
    accept: async (request, rights, deadline) => append(request, outside(rights), false, deadline),
    issuance: (id, deadline, name = writer.name) =>
      reading(deadline, async () => {
        const story = await store.issuance(id);
        if (name === everyWriter) return story.map(toEntry);
        if (!story.some((entry) => entry.writer === name)) return [];
        return story.filter((entry) => entry.writer === name || entry.writer === writer.name).map(toEntry);
      }),
    pending: (state, deadline, { writer: name = writer.name, after = -1 } = {}) =>
      reading(deadline, async () => {
        const whose = name === everyWriter ? {} : { writer: name };
        return (await store.pending(state, { ...whose, before: now(), after, limit: pendingPage })).map(toEntry);
      }),
    key: async () => signer.vkey,
    keys: async () => deps.keys,
    ready: (deadline) =>
      reading(deadline, async () => {
        if (closed) throw unavailable('closed');
        if (Math.abs(now() - committedAt) < wellTime) return;
        await serially(() => store.probe(deadlineIn(storeTime, now)));
        committedAt = now();
      }),
    reader,
    ownKeys,
    texts,
    copy,
    roll: (request, deadline) => alone(deadline, () => roll(request)),
    claim: (checkpoint, deadline) => alone(deadline, () => claim(checkpoint)),
    adopt: (copied, deadline) => alone(deadline, () => adopt(copied)),
    erase: (positions, deadline) => reading(deadline, () => serially(() => store.erase(positions, deadline))),
    async close() {
      closed = true;
      await serially(async () => {});
      while (!queue.empty) await serially(() => appendBatch(queue.take()));
      await store.close();
    },
  };
}

const toEntry = ({ index, record, disclosure }: { index: number; record: string; disclosure: string | null }) => ({
  index,
  record,
  disclosure,
});

function openOrRefuse(verifier: NoteVerifier, note: string): Checkpoint {
  try {
    return openCheckpoint(verifier, note);
  } catch {
    throw invalid('checkpoint');
  }
}

const without = <T>(all: ReadonlySet<T>, one: T): ReadonlySet<T> => new Set([...all].filter((each) => each !== one));
