import type { RotateConfig, Rotator, Turn } from '../credentials/rotator.ts';
import { rotators } from '../credentials/rotators/index.ts';
import type { Book, Facts } from '../ledger/erasure/book.ts';
import type { RecordText } from '../ledger/records/record.ts';
import { equalBytes } from '../lib/bytes.ts';
import { pick } from '../lib/catalog.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { OperatorLog } from '../lib/platform.ts';
import type { ReadRef } from '../lib/ref.ts';
import { Refusal } from '../lib/refusal.ts';
import type { Secret } from '../lib/secret.ts';
import { instant, parseDuration, parseInstant } from '../lib/time.ts';

/** A stored value that is rotated, as its checked entry says. */
export interface Rotated {
  readonly credential: string;
  readonly store: string;
  readonly name: string;
  readonly rotate: RotateConfig;
}

/** What rotation needs of a store; every error is one of the store's. */
export interface RotatedStore {
  get(name: string, version: string | undefined, deadline: Deadline): Promise<{ value: Secret; version: string }>;
  describe(name: string, deadline: Deadline): Promise<{ readonly version: string; readonly createdAt?: string }>;
  put(name: string, value: Secret, deadline: Deadline): Promise<{ version: string }>;
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
  readonly limits: { readonly ledgerMs: number; readonly storeMs: number; readonly undoMs: number };
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
/** The most that one rotation on schedule may take, milliseconds. */
const oneMs = 15_000;
/** How often a value that does not work once it is stored is set again. */
const mostAgain = 3;

type Step = 'started' | 'set' | 'tried' | 'current' | 'failed';
type Note = (step: Step, deadline: Deadline, more?: { version?: string; reason?: string }) => Promise<void>;
type Current = { readonly value: Secret; readonly version: string };

export function openRotation(deps: RotationDeps): Rotation {
  const { book, limits, now } = deps;
  let looked = Number.NEGATIVE_INFINITY;

  async function append(write: () => RecordText, deadline: Deadline): Promise<void> {
    const once = () => book.append(write(), deadline.within(limits.ledgerMs));
    await once().catch((error) => (codeOf(error) === 'stale' ? once() : Promise.reject(error)));
  }

  async function rotate(
    credential: string,
    deadline: Deadline,
    { force = false, request, trace }: RotationOptions = {},
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
      const report = await attempt(rotated, noting, deadline.within(deadline.left(), limits.undoMs), force);
      deps.count('hallpass_rotations_total', { credential, outcome: 'done' });
      return report;
    } catch (error) {
      if (codeOf(error) === 'rate_limited') throw error;
      deps.count('hallpass_rotations_total', { credential, outcome: 'failed' });
      await noting('failed', deadline, { reason: reasonOf(error) }).catch(() => {});
      throw error;
    }
  }

  const noteFor =
    (about: Facts): Note =>
    (step, deadline, more = {}) =>
      append(() => {
        const facts = { ...about, step, epoch: book.epoch, ...more };
        return book.write('rotation', facts, { issuer: 'self', disclosed: deps.self });
      }, deadline);

  async function attempt(rotated: Rotated, note: Note, deadline: Deadline, force: boolean): Promise<RotationReport> {
    const store = openOf(rotated);
    const before = await store.current(deadline);
    if (before !== undefined && !force) await refuseEarly(rotated, store, deadline);
    const rotator = await openRotator(rotated);
    return rotator.alone(before?.value, deadline, (turn) => takeTurn(rotated, store, before, turn, note, deadline));
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
    await turn.stillAlone();
    const version = await store.put(next, deadline);
    await confirm(store, next, turn, deadline);
    await append(() => book.write('store-write', { store: rotated.store, credential, version }), deadline);
    await note('current', deadline, { version });
    return { credential, version, ...previous };
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
    const since = await store.since(deadline);
    if (since === undefined) {
      const detail = 'The store does not tell since when this value is current: the one before may still be in use.';
      throw new Refusal('store_failed', 'undated', { detail, hint: 'by force', facts: { credential } });
    }
    const free = since + keep;
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
    try {
      const since = await openOf(rotated).since(deadline);
      const age = Math.max(every * 1000, deps.keepMs(credential));
      if (since !== undefined && now() - since >= age) await rotate(credential, deadline);
    } catch (error) {
      deps.log('error', 'rotation_failed', { credential, reason: reasonOf(error) });
    }
  }

  /** The store of one, whose errors are refusals. */
  function openOf(rotated: Rotated): OpenStore {
    const { store, name } = rotated;
    const ask = async <T>(
      deadline: Deadline,
      work: (open: RotatedStore, until: Deadline) => Promise<T>,
    ): Promise<T> => {
      try {
        return await work(await deps.openStore(store), deadline.within(limits.storeMs));
      } catch (error) {
        throw fromStore(error, rotated);
      }
    };
    return {
      current: (deadline) =>
        ask(deadline, (open, until) =>
          open.get(name, undefined, until).catch((error) => {
            if (faultOf(error) === 'absent') return undefined;
            throw error;
          }),
        ),
      since: async (deadline) => {
        const { createdAt } = await ask(deadline, (open, until) => open.describe(name, until));
        return createdAt === undefined ? undefined : parseInstant(createdAt);
      },
      put: async (value, deadline) => (await ask(deadline, (open, until) => open.put(name, value, until))).version,
    };
  }

  return {
    rotate,
    async rotateDue(deadline) {
      if (Math.abs(now() - looked) < lookMs) return;
      looked = now();
      // Beside each other: a target that hangs keeps no other waiting.
      await Promise.all([...deps.rotated.values()].map((rotated) => rotateIfDue(rotated, deadline.within(oneMs))));
    },
  };
}

interface OpenStore {
  /** Undefined where nothing is stored yet. */
  current(deadline: Deadline): Promise<Current | undefined>;
  /** When the current value was stored, milliseconds; undefined where the store does not tell. */
  since(deadline: Deadline): Promise<number | undefined>;
  /** @returns the version */
  put(value: Secret, deadline: Deadline): Promise<string>;
}

/** By the value alone: a store may name another version though only what is beside the value was written. */
const isSame = (one: Current, other: Current | undefined): boolean =>
  other !== undefined && equalBytes(one.value.reveal(), other.value.reveal());

const codeOf = (error: unknown): string => (error instanceof Refusal ? error.code : 'internal');
const faultOf = (error: unknown): unknown => (error as { readonly fault?: unknown } | null)?.fault;

function reasonOf(error: unknown): string {
  if (error instanceof Refusal) return error.reason;
  const fault = faultOf(error);
  return typeof fault === 'string' && /^[a-z_]{1,64}$/.test(fault) ? `store_${fault}` : 'internal';
}

/** What a store threw, as the caller hears it; a Refusal is one already. */
function fromStore(error: unknown, { store, credential }: Rotated): unknown {
  if (error instanceof Refusal || faultOf(error) === undefined) return error;
  const code = faultOf(error) === 'slow' ? 'store_timeout' : 'store_failed';
  return new Refusal(code, reasonOf(error), { facts: { store, credential }, cause: error });
}
