import { getPriority, setPriority } from 'node:os';

/** A third of the share of a thread that serves, where both want the same core: enough to keep up, not to get in the way. */
const nicer = 5;
const nicest = 19;

/** Lets this thread come after those that serve. Only on Linux it has a priority of its own: elsewhere the process would lose. */
export function comeAfterRequests() {
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, Math.min(nicest, getPriority(0) + nicer));
  } catch {
    // A sandbox that lets nobody say so: the thread is as the others.
  }
}
