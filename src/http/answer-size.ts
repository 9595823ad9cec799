import type { Runtime } from '../lib/platform.ts';

/** Of the 6 MB that an invocation may answer with: there the body is a text in JSON, where a quote takes two bytes. */
const mostBytes = 5_500_000;

/** How many times as large a body is as a runtime can hand over; up to 1 it fits. */
function loadOf(runtime: Runtime, body: string): number {
  // No unit of a text takes more than six bytes in JSON.
  if (runtime !== 'lambda' || body.length * 6 <= mostBytes) return 0;
  return Buffer.byteLength(JSON.stringify(body)) / mostBytes;
}

export const fits = (runtime: Runtime, body: string): boolean => loadOf(runtime, body) <= 1;

export interface Attempt<T> {
  readonly body: string;
  /** Entries that it is made of. */
  readonly count: number;
  readonly of: T;
}

/** Asks for fewer entries until the body fits, or has one alone. */
export async function askFitting<T>(
  runtime: Runtime,
  most: number,
  ask: (most: number) => Promise<Attempt<T>>,
): Promise<Attempt<T>> {
  for (let limit = most; ; ) {
    const attempt = await ask(limit);
    const load = loadOf(runtime, attempt.body);
    if (limit <= 1 || load <= 1) return attempt;
    limit = Math.max(1, Math.floor((0.9 * Math.min(limit, attempt.count)) / load));
  }
}
