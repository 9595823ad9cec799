import { before, type Deadline } from '../lib/deadline.ts';
import { Refusal } from '../lib/refusal.ts';
import { type Store, StoreError, type StoreFault } from './store.ts';

/** What a failed file operation means to a caller (errno names). */
const faults: Readonly<Record<string, StoreFault>> = {
  ENOENT: 'absent',
  ENOTDIR: 'absent',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'read_only',
};

/**
 * The one place where a store's errors are scrubbed: whatever goes wrong inside, and however long it takes, a caller
 * meets a StoreError by the deadline.
 */
export function guardStore(store: Store): Store {
  const guarded = <T>(deadline: Deadline, work: () => Promise<T>): Promise<T> =>
    before(deadline, () => new StoreError('slow'), work).catch((error) => {
      throw scrub(error);
    });
  return {
    get: (name, version, deadline) => guarded(deadline, () => store.get(name, version, deadline)),
    describe: (name, deadline) => guarded(deadline, () => store.describe(name, deadline)),
    list: (deadline) => guarded(deadline, () => store.list(deadline)),
    put: (name, value, deadline) => guarded(deadline, () => store.put(name, value, deadline)),
    remove: (name, deadline) => guarded(deadline, () => store.remove(name, deadline)),
  };
}

function scrub(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  if (error instanceof Refusal && error.code === 'store_timeout') return new StoreError('slow');
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new StoreError(Object.hasOwn(faults, code) ? (faults[code] as StoreFault) : 'unreachable', { cause: error });
}
