import type { Deadline } from '../../lib/deadline.ts';
import type { ReadRef, Ref, RefValue } from '../../lib/ref.ts';
import { Refusal } from '../../lib/refusal.ts';

/** A store that gave no word on the secret. One that says no, or that it has none, is believed: an operator may have meant it. */
const silent: ReadonlySet<string> = new Set(['unreachable', 'slow', 'throttled']);

/**
 * Reads the first REF, and while its store gives no word the next ones, in order. A replica is believed when its version is
 * that of the first (the one last read here, else the pinned one), when the operator pinned both, or with `stale`.
 */
export function readFirst(
  refs: readonly [Ref, ...Ref[]],
  { read, stale }: { readonly read: ReadRef; readonly stale: boolean },
): (deadline: Deadline) => Promise<RefValue> {
  const [first, ...replicas] = refs;
  let seen: string | undefined;

  async function readPrimary(deadline: Deadline): Promise<RefValue> {
    const found = await read(first, deadline);
    seen = found.version;
    return found;
  }

  const fits = (replica: Ref, { version }: RefValue): boolean =>
    stale || version === (seen ?? first.version) || (first.version !== undefined && replica.version !== undefined);

  return async (deadline) => {
    if (replicas.length === 0) return read(first, deadline);
    // Each store gets an equal share of what is left, so that a slow one leaves time for the next.
    const share = (stores: number) => deadline.within(deadline.left() / stores);
    try {
      return await readPrimary(share(refs.length));
    } catch (failure) {
      if (!isSilent(failure)) throw failure;
      for (const [at, replica] of replicas.entries()) {
        const found = await read(replica, share(replicas.length - at)).catch(() => undefined);
        if (found !== undefined && fits(replica, found)) return found;
      }
      throw failure;
    }
  };
}

const isSilent = (error: unknown): boolean => error instanceof Refusal && silent.has(error.reason);
