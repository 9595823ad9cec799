import type { Log } from '../log/log.ts';
import type { QueryIndex } from '../query-index.ts';

/** A log with what finds its entries: what the one erases the other forgets. */
export function withIndex(log: Log, index: QueryIndex): Log {
  return {
    ...log,
    index,
    // In this order: an eraser that was cut off in between still finds what it has to do.
    async erase(positions, deadline) {
      await log.erase(positions, deadline);
      await index.forget(positions, deadline);
    },
    async close() {
      await index.close?.();
      await log.close();
    },
  };
}
