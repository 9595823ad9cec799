import type { RotateConfig, Rotator, Turn } from '../credentials/rotator.ts';
import { rotators } from '../credentials/rotators/index.ts';
import type { Book, Facts } from '../ledger/erasure/book.ts';
import type { LogReader } from '../ledger/ledger.ts';
import type { RecordText } from '../ledger/records/record.ts';
import { equalBytes } from '../lib/bytes.ts';
import { pick } from '../lib/catalog.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { OperatorLog } from '../lib/platform.ts';
import type { ReadRef } from '../lib/ref.ts';
import { Refusal } from '../lib/refusal.ts';
import type { Secret } from '../lib/secret.ts';
import { instant, parseDuration } from '../lib/time.ts';
import { findCutShort } from './cut-short.ts';
import { type Current, type OpenStore, openRotated, type RotatedStore, reasonOf } from './rotated-store.ts';

/** A stored value that is rotated, as its checked entry says. */
export interface Rotated {
  readonly credential: string;
  readonly store: string;
  readonly name: string;
  readonly rotate: RotateConfig;
}

export interface RotationDeps {
  readonly rotated: ReadonlyMap<string, Rotated>;
  readonly openStore: (name: string) => Promise<RotatedStore>;
  readonly book: Book;
  /** How Hallpass itself stands in a record's disclosure. */
  readonly self: { readonly name: string; readonly iss: string; readonly subject: string };
  readonly read: ReadRef;
  /** 32 bytes of `broker.secret` for one purpose, the same on every instance. */
  readonly derive: (info: string, deadline: Deadline) => Promise<Uint8Array>;
  readonly random: (bytes: number) => Uint8Array;
  readonly now: () => number;
  readonly log: OperatorLog;
  readonly count: (name: string, labels: Readonly<Record<string, string>>) => void;
  /** Of each log, where they are at hand. */
  readonly lists: readonly LogReader['list'][];
  readonly writer: string;
  readonly limits: {
    readonly requestMs: number;
    readonly ledgerMs: number;
    readonly storeMs: number;
    readonly undoMs: number;
  };
  /** The longest that a value handed out may be in use after another is current, milliseconds; 0 where none ends. */
  readonly keepMs: (credential: string) => number;
}

export interface RotationOptions {
  /** Even while the value before may be in use. */
  readonly force?: boolean;
  /** The call that asked for it; absent on schedule. */
  readonly request?: string | undefined;
  readonly trace?: string | undefined;
}

export interface RotationReport {
  readonly credential: string;
  readonly version: string;
  /** The version before; absent where there was none. */
  readonly previous?: string;
}

export interface Rotation {
  /**
   * Rotates one stored value: set at the target, tried there, then written to its store, which makes it current. Whatever
   * ends this on the way, the stored value works. Where another did it meanwhile, that is the answer.
   *
   * @throws Refusal not_found for a credential that has no rotator, rate_limited while the value before may be in use
   */
  rotate(credential: string, deadline: Deadline, options?: RotationOptions): Promise<RotationReport>;
  /** Rotates what is due by its `every`. Rejects for nothing: what fails is logged, and tried again later. */
  rotateDue(deadline: Deadline): Promise<void>;
}

/** Between two looks at what is due, milliseconds. */
const lookMs = 600_000;
/** Clocks that differ, and a pass that takes longer than a request, milliseconds. */
const skewMs = 60_000;
/** The most that one rotation on schedule may take, milliseconds. */
const oneMs = 15_000;
/** How often a value that does not work once it is stored is set again. */
const mostAgain = 3;

type Step = 'started' | 'set' | 'tried' | 'current' | 'failed';
type Written = { readonly store: string; readonly credential: string; readonly version: string };
type Note = (step: Step, deadline: Deadline, more?: { version?: string; reason?: string }) => Promise<void>;

export function openRotation(deps: RotationDeps): Rotation {
  const { book, limits, now } = deps;
  let looked = Number.NEGATIVE_INFINITY;
  /** What was written and has no record, as the ledger did not take one. */
  const unrecorded = new Set<Written>();
  /** Of each credential, the end of the last rotation that began here. */
  const lines = new Map<string, Promise<void>>();

  async function append(write: () => RecordText, deadline: Deadline): Promise<void> {
    const once = () => book.append(write(), deadline.within(limits.ledgerMs));
    await once().catch((error) => (codeOf(error) === 'stale' ? once() : Promise.reject(error)));
  }

  async function rotate(
    credential: string,
    deadline: Deadline,
    { force = false, request, trace }: RotationOptions = {},
    due?: string,
  ): Promise<RotationReport> {
    const rotated = deps.rotated.get(credential);
    if (rotated === undefined)
      throw new Refusal('not_found', 'no_rotator', {
        detail: 'No credential of this name is rotated.',
        hint: 'Give its entry a rotate member.',
        facts: { credential },
      });
    const noting = noteFor({ credential, kind: 'secret', request, trace });
    try {
      // What is left of the time is for saying that it failed.
      const report = await attempt(rotated, noting, deadline.within(deadline.left(), limits.undoMs), force, due);
      deps.count('hallpass_rotations_total', { credential, outcome: 'done' });
      return report;
    } catch (error) {
      if (codeOf(error) === 'rate_limited') throw error;
      return await failed(credential, noting, deadline, error);
    }
  }

  async function failed(credential: string, note: Note, deadline: Deadline, error: unknown): Promise<never> {
    deps.count('hallpass_rotations_total', { credential, outcome: 'failed' });
    await note('failed', deadline, { reason: reasonOf(error) }).catch(() => {});
    throw error;
  }

  const noteFor =
    (about: Facts): Note =>
    (step, deadline, more = {}) =>
      append(() => {
        const facts = { ...about, step, epoch: book.epoch, ...more };
        return book.write('rotation', facts, { issuer: 'self', disclosed: deps.self });
      }, deadline);

  /** `due`: the version that is to be rotated; whoever was faster has done it. */
  async function attempt(
    rotated: Rotated,
    note: Note,
    deadline: Deadline,
    force: boolean,
    due: string | undefined,
  ): Promise<RotationReport> {
    const store = openRotated(rotated, deps);
    const before = await store.current(deadline);
    if (due !== undefined && before === undefined) throw new Refusal('store_failed', 'store_absent');
    if (due !== undefined && before !== undefined && before.version !== due)
      return { credential: rotated.credential, version: before.version, previous: due };
    if (before !== undefined && !force) await refuseEarly(rotated, store, deadline);
    const rotator = await openRotator(rotated);
    return inLine(rotated.credential, deadline, () =>
      rotator.alone(before?.value, deadline, (turn) => takeTurn(rotated, store, before, turn, note, deadline)),
    );
  }

  /** One after another in this process, as not every rotator has a lock; all that is waited for ends by its deadline. */
  async function inLine<T>(credential: string, deadline: Deadline, work: () => Promise<T>): Promise<T> {
    const mine = (lines.get(credential) ?? Promise.resolve()).then(() => {
      if (deadline.left() > 0) return work();
      throw new Refusal('store_timeout', 'slow', { facts: { credential } });
    });
    const last = mine.then(
      () => {},
      () => {},
    );
    lines.set(credential, last);
    return mine;
  }

  async function openRotator({ credential, rotate: config }: Rotated): Promise<Rotator> {
    const module = await pick(rotators, config.kind).load();
    const derive = (deadline: Deadline) => deps.derive(`hallpass/rotation/v1 ${credential}`, deadline);
    return module.open(config, { read: deps.read, now, random: deps.random, derive });
  }

  async function takeTurn(
    rotated: Rotated,
    store: OpenStore,
    before: Current | undefined,
    turn: Turn,
    note: Note,
    deadline: Deadline,
  ): Promise<RotationReport> {
    const { credential } = rotated;
    const current = await store.current(deadline);
    if (current === undefined && before !== undefined) throw new Refusal('store_failed', 'store_absent');
    // Whoever had the turn before us has done it.
    if (current !== undefined && !isSame(current, before))
      return { credential, version: current.version, ...(before && { previous: before.version }) };
    const previous = current === undefined ? {} : { previous: current.version };
    const next = await turn.next(current?.value, deadline);
    await note('started', deadline, { ...(current && { version: current.version }) });
    await turn.set(next, deadline);
    await note('set', deadline);
    await turn.try(next, deadline);
    await note('tried', deadline);
    await refuseChanged(rotated, store, current, next, deadline);
    await turn.stillAlone();
    const version = await write(store, next, deadline);
    // Before anything else can fail: what is in a store is recorded.
    await record({ store: rotated.store, credential, version }, deadline);
    await confirm(store, next, turn, deadline);
    await note('current', deadline, { version });
    return { credential, version, ...previous };
  }

  /** Whoever has no lock, an operator or an instance that generates, may have put another value there since it was read. */
  async function refuseChanged(
    { credential }: Rotated,
    store: OpenStore,
    before: Current | undefined,
    next: Secret,
    deadline: Deadline,
  ): Promise<void> {
    const now = await store.current(deadline);
    const isLate = now !== undefined && equalBytes(now.value.reveal(), next.reveal());
    if (isLate || (now === undefined ? before === undefined : isSame(now, before))) return;
    throw new Refusal('store_failed', 'changed_meanwhile', {
      detail: 'Another value was stored while this one was made: that one stays.',
      hint: 'Try again.',
      facts: { credential },
    });
  }

  /** Where the answer was lost, the store itself says whether it wrote. */
  async function write(store: OpenStore, next: Secret, deadline: Deadline): Promise<string> {
    // Of a store that hangs there must be time to ask, and to record.
    const first = deadline.within(deadline.left() / 2);
    return store.put(next, first).catch(async (error) => {
      const found = await store.current(deadline.within(deadline.left() / 2)).catch(() => undefined);
      if (found === undefined || !equalBytes(found.value.reveal(), next.reveal())) throw error;
      return found.version;
    });
  }

  /** Told twice, then by each pass until the ledger has taken it. */
  async function record(written: Written, deadline: Deadline): Promise<void> {
    const text = book.write('store-write', written);
    try {
      // The same bytes: where only the answer was lost, they are one record.
      await append(() => text, deadline).catch(() => append(() => text, deadline));
      unrecorded.delete(written);
    } catch (error) {
      unrecorded.add(written);
      throw error;
    }
  }

  async function recordLeft(deadline: Deadline): Promise<void> {
    for (const written of unrecorded)
      await record(written, deadline).catch((error) =>
        deps.log('error', 'store_write_unrecorded', { credential: written.credential, reason: reasonOf(error) }),
      );
  }

  /** A process that ended right before or after it wrote: what is current by now is recorded, once. */
  async function recordCutShort(deadline: Deadline): Promise<void> {
    if (deps.rotated.size === 0) return;
    const about = { writer: deps.writer, now: now(), ageMs: limits.requestMs + skewMs };
    for (const { credential, id } of await findCutShort(deps.lists, about, deadline)) {
      const rotated = deps.rotated.get(credential);
      if (rotated === undefined) continue;
      const current = await openRotated(rotated, deps).current(deadline);
      const version = current === undefined ? {} : { version: current.version };
      await noteFor({ credential, kind: 'secret', id })('failed', deadline, { reason: 'cut_short', ...version }).catch(
        (error) => {
          // Another instance was faster.
          if (reasonOf(error) !== 'id_taken') throw error;
        },
      );
    }
  }

  /** What is stored is what the target must take: if it does not, somebody else has been at it. */
  async function confirm(store: OpenStore, next: Secret, turn: Turn, deadline: Deadline): Promise<void> {
    for (let again = 0; ; again++) {
      const stored = (await store.current(deadline))?.value;
      if (stored !== undefined && (await works(turn, stored, deadline))) return;
      const ours = stored !== undefined && equalBytes(stored.reveal(), next.reveal());
      if (again === mostAgain || !ours) throw new Refusal('store_failed', 'stored_does_not_work');
      await turn.set(next, deadline);
    }
  }

  const works = (turn: Turn, value: Secret, deadline: Deadline): Promise<boolean> =>
    turn.try(value, deadline).then(
      () => true,
      () => false,
    );

  /** The user that is next is the one before the current: leases on its password must be over. */
  async function refuseEarly({ credential }: Rotated, store: OpenStore, deadline: Deadline): Promise<void> {
    const keep = deps.keepMs(credential);
    if (keep === 0) return;
    const { at } = await store.since(deadline);
    if (at === undefined) throw undated(credential);
    const free = at + keep;
    if (now() >= free) return;
    throw new Refusal('rate_limited', 'in_use', {
      detail: 'What was handed out before the last rotation may still be in use.',
      hint: `again after ${instant(free)}, or by force`,
      retryAfter: Math.ceil((free - now()) / 1000),
      facts: { credential },
    });
  }

  async function rotateIfDue(rotated: Rotated, deadline: Deadline): Promise<void> {
    const { credential, rotate: config } = rotated;
    const every = config.every === undefined ? undefined : parseDuration(config.every);
    if (every === undefined) return;
    const note = noteFor({ credential, kind: 'secret' });
    try {
      const { version, at } = await openRotated(rotated, deps)
        .since(deadline.within(deadline.left(), limits.undoMs))
        .catch((error) => failed(credential, note, deadline, error));
      if (at === undefined) return await failed(credential, note, deadline, undated(credential));
      const age = Math.max(every * 1000, deps.keepMs(credential));
      if (now() - at >= age) await rotate(credential, deadline, {}, version);
    } catch (error) {
      deps.log('error', 'rotation_failed', { credential, reason: reasonOf(error) });
    }
  }

  return {
    rotate: (credential, deadline, options) => rotate(credential, deadline, options),
    async rotateDue(deadline) {
      await recordLeft(deadline.within(limits.ledgerMs));
      if (Math.abs(now() - looked) < lookMs) return;
      looked = now();
      await recordCutShort(deadline.within(oneMs)).catch((error) =>
        deps.log('error', 'store_write_unrecorded', { reason: reasonOf(error) }),
      );
      // Beside each other: a target that hangs keeps no other waiting.
      await Promise.all([...deps.rotated.values()].map((rotated) => rotateIfDue(rotated, deadline.within(oneMs))));
    },
  };
}

/** By the value alone: a store may name another version though only what is beside the value was written. */
const isSame = (one: Current, other: Current | undefined): boolean =>
  other !== undefined && equalBytes(one.value.reveal(), other.value.reveal());

const codeOf = (error: unknown): string => (error instanceof Refusal ? error.code : 'internal');

const undated = (credential: string): Refusal =>
  new Refusal('store_failed', 'undated', {
    detail: 'The store does not tell since when this value is current: the one before may still be in use.',
    hint: 'by force',
    facts: { credential },
  });
