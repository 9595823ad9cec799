import type { RotateConfig, Rotator, Turn } from '../credentials/rotator.ts';
import { rotators } from '../credentials/rotators/index.ts';
import type { Book } from '../ledger/book.ts';
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
  readonly random: (bytes: number) => Uint8Array;
  readonly now: () => number;
  readonly log: OperatorLog;
  readonly limits: { readonly ledgerMs: number; readonly storeMs: number };
  /** The longest that a value handed out may still be in use after another is current, milliseconds. */
  readonly keepMs: (credential: string) => number;
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
   * ends this on the way, the stored value works.
   *
   * @throws Refusal not_found for a credential that has no rotator, invalid_request while the value before may be in use
   */
  rotate(credential: string, deadline: Deadline, force?: boolean): Promise<RotationReport>;
  /** Rotates what is due by its `every`. Rejects for nothing: what fails is logged, and tried again later. */
  rotateDue(deadline: Deadline): Promise<void>;
}

/** Between two looks at what is due, milliseconds. */
const lookMs = 600_000;
/** How often a value that does not work once it is written is rotated again. */
const mostAgain = 3;

type Step = 'started' | 'set' | 'tried' | 'current' | 'failed';

export function openRotation(deps: RotationDeps): Rotation {
  const { book, limits, now } = deps;
  let looked = Number.NEGATIVE_INFINITY;

  async function note(credential: string, step: Step, deadline: Deadline, more: { version?: string; reason?: string }) {
    const facts = { credential, kind: 'secret', step, epoch: book.epoch, ...more };
    const entry = book.write('rotation', facts, { issuer: 'self', disclosed: deps.self });
    const append = () => book.append(entry, deadline.within(limits.ledgerMs));
    await append().catch((error) => (codeOf(error) === 'stale' ? append() : Promise.reject(error)));
  }

  async function rotate(credential: string, deadline: Deadline, force = false): Promise<RotationReport> {
    const rotated = deps.rotated.get(credential);
    if (rotated === undefined) throw new Refusal('not_found', 'no_rotator', { facts: { credential } });
    const store = await deps.openStore(rotated.store);
    const before = await currentOf(store, rotated, deadline);
    if (before !== undefined && !force) await refuseEarly(store, rotated, deadline);
    const rotator = await openRotator(rotated);
    await note(credential, 'started', deadline, { ...(before && { version: before.version }) });
    try {
      return await rotator.alone(before?.value, deadline, (turn) => takeTurn(rotated, store, before, turn, deadline));
    } catch (error) {
      const reason = reasonOf(error);
      await note(credential, 'failed', deadline, { reason }).catch(() => {});
      throw fromStore(error, rotated);
    }
  }

  async function openRotator({ credential, rotate: config }: Rotated): Promise<Rotator> {
    const module = await pick(rotators, config.kind).load();
    return module.open(config, { read: deps.read, now, random: deps.random, name: credential });
  }

  async function takeTurn(
    rotated: Rotated,
    store: RotatedStore,
    before: { readonly version: string } | undefined,
    turn: Turn,
    deadline: Deadline,
  ): Promise<RotationReport> {
    const { credential } = rotated;
    let current = await currentOf(store, rotated, deadline);
    // Whoever had the turn before us has done it.
    if (current?.version !== before?.version) throw rotatedAlready(credential);
    for (let again = 0; ; again++) {
      const next = turn.next(current?.value);
      await turn.set(next, deadline);
      await note(credential, 'set', deadline, {});
      await turn.try(next, deadline);
      await note(credential, 'tried', deadline, {});
      const { version } = await store.put(rotated.name, next, deadline.within(limits.storeMs));
      await noteWrite(rotated, version, deadline);
      await note(credential, 'current', deadline, { version });
      current = await currentOf(store, rotated, deadline);
      const works =
        current !== undefined &&
        (await turn.try(current.value, deadline).then(
          () => true,
          () => false,
        ));
      const previous = before === undefined ? {} : { previous: before.version };
      if (works) return { credential, version, ...previous };
      if (again === mostAgain) throw new Refusal('store_failed', 'stored_does_not_work', { facts: { credential } });
    }
  }

  async function noteWrite({ credential, store }: Rotated, version: string, deadline: Deadline): Promise<void> {
    const append = () =>
      book.append(book.write('store-write', { store, credential, version }), deadline.within(limits.ledgerMs));
    await append().catch((error) => (codeOf(error) === 'stale' ? append() : Promise.reject(error)));
  }

  async function currentOf(store: RotatedStore, { name }: Rotated, deadline: Deadline) {
    return store.get(name, undefined, deadline.within(limits.storeMs)).catch((error) => {
      if (faultOf(error) === 'absent') return undefined;
      throw error;
    });
  }

  /** The user that is next is the one before the current: leases on its password must be over. */
  async function refuseEarly(store: RotatedStore, rotated: Rotated, deadline: Deadline): Promise<void> {
    const { createdAt } = await store.describe(rotated.name, deadline.within(limits.storeMs));
    const since = createdAt === undefined ? undefined : parseInstant(createdAt);
    if (since === undefined) return;
    const free = since + deps.keepMs(rotated.credential);
    if (now() >= free) return;
    throw new Refusal('invalid_request', 'in_use', {
      detail: 'What was handed out before the last rotation may still be in use.',
      hint: `Again after ${instant(free)}, or by force.`,
      facts: { credential: rotated.credential },
    });
  }

  async function isDue(rotated: Rotated, deadline: Deadline): Promise<boolean> {
    const every = rotated.rotate.every === undefined ? undefined : parseDuration(rotated.rotate.every);
    if (every === undefined) return false;
    const store = await deps.openStore(rotated.store);
    const { createdAt } = await store.describe(rotated.name, deadline.within(limits.storeMs));
    const since = createdAt === undefined ? undefined : parseInstant(createdAt);
    return since !== undefined && now() - since >= every * 1000;
  }

  return {
    async rotate(credential, deadline, force) {
      try {
        return await rotate(credential, deadline, force);
      } catch (error) {
        const rotated = deps.rotated.get(credential);
        throw rotated === undefined ? error : fromStore(error, rotated);
      }
    },
    async rotateDue(deadline) {
      if (Math.abs(now() - looked) < lookMs) return;
      looked = now();
      for (const [credential, rotated] of deps.rotated) {
        try {
          if (await isDue(rotated, deadline)) await rotate(credential, deadline);
        } catch (error) {
          deps.log('error', 'rotation_failed', { credential, reason: reasonOf(error) });
        }
      }
    },
  };
}

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

const rotatedAlready = (credential: string): Refusal =>
  new Refusal('invalid_request', 'rotated_already', {
    detail: 'It was rotated meanwhile.',
    facts: { credential },
  });
