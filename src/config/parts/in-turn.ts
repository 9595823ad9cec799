/**
 * Runs each step after the one before, whatever became of that: a target that fails keeps no log from being rolled.
 * Rejects with the first failure when all are done.
 */
export async function inTurn(steps: readonly (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps)
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  if (failures.length > 0) throw failures[0];
}
