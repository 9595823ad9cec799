import { before, type Deadline } from '../lib/deadline.ts';
import { HttpError } from '../lib/http-client.ts';
import { Refusal } from '../lib/refusal.ts';
import { fromHttpError, UpstreamError } from '../lib/upstream.ts';
import { type Store, StoreError, type StoreFault } from './store.ts';

/** What a failed file operation means to a caller (errno names). */
const faults: Readonly<Record<string, StoreFault>> = {
  ENOENT: 'absent',
  ENOTDIR: 'absent',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'read_only',
};

/** How much of its time a store leaves for saying what took so long, milliseconds. */
const tellMs = 100;

/**
 * The one place where a store's errors are scrubbed: whatever goes wrong inside, and however long it takes, a caller
 * meets a StoreError by the deadline.
 */
export function guardStore(store: Store): Store {
  const guarded = <T>(deadline: Deadline, work: (deadline: Deadline) => Promise<T>): Promise<T> => {
    // The store's own time is a little shorter: what it gives up on is told with its step.
    const own = deadline.within(deadline.left(), Math.min(tellMs, deadline.left() / 10));
    return before(
      deadline,
      () => new StoreError('slow'),
      () => work(own),
    ).catch((error) => {
      throw scrub(error);
    });
  };
  return {
    get: (name, version, deadline) => guarded(deadline, (own) => store.get(name, version, own)),
    describe: (name, deadline) => guarded(deadline, (own) => store.describe(name, own)),
    list: (deadline) => guarded(deadline, (own) => store.list(own)),
    put: (name, value, deadline) => guarded(deadline, (own) => store.put(name, value, own)),
    remove: (name, deadline) => guarded(deadline, (own) => store.remove(name, own)),
  };
}

function scrub(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  if (error instanceof UpstreamError) return new StoreError(error.fault, { ...error.facts, cause: error });
  if (error instanceof HttpError) return scrub(fromHttpError(error, 'call'));
  if (error instanceof Refusal) return fromRefusal(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new StoreError(Object.hasOwn(faults, code) ? (faults[code] as StoreFault) : 'unreachable', { cause: error });
}

/** What another room refused us on the way: a key in another store, or the assertion that the ledger signs. */
function fromRefusal(error: Refusal): StoreError {
  const { code, reason, options } = error;
  if (code === 'store_timeout') return new StoreError('slow', { cause: error });
  // Only the ledger says either, and a store asks it for nothing else.
  const step = typeof options.facts?.step === 'string' ? options.facts.step : 'assertion';
  if (code === 'denied') return new StoreError('denied', { step, reason, cause: error });
  if (code === 'ledger_unavailable') return new StoreError('unreachable', { step, reason: code, cause: error });
  return new StoreError('unreachable', { reason, cause: error });
}
