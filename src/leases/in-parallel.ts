/** Does the work for each, so many at a time, in order. The first rejection ends it: no more is begun. */
export async function inParallel<T>(all: readonly T[], atOnce: number, work: (one: T) => Promise<void>): Promise<void> {
  const rest = all.values();
  let stopped = false;
  const worker = async () => {
    for (const one of rest) {
      if (stopped) return;
      await work(one).catch((error) => {
        stopped = true;
        throw error;
      });
    }
  };
  const done = await Promise.allSettled(Array.from({ length: Math.min(atOnce, all.length) }, worker));
  const failed = done.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
