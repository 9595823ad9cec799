import { deadlineIn } from '../lib/deadline.ts';
import type { Platform } from '../lib/platform.ts';
import type { Forwarder } from '../sinks/forwarder.ts';

/** Between two passes of one courier that has carried all there is, and the most that one may take; milliseconds. */
const pauseMs = 1_000;
const passMs = 30_000;

/** Carries copies to the sinks while the server lives, beside serving: each courier by itself, so that none waits for another. */
export function startForwarding(
  forwarder: Forwarder | undefined,
  { now }: Pick<Platform, 'now'>,
): { stop(): void; underWay(): boolean } {
  const timers = new Set<ReturnType<typeof setTimeout>>();
  let stopped = false;
  let underWay = 0;

  for (const courier of forwarder?.couriers ?? []) {
    const carry = async (): Promise<void> => {
      underWay++;
      const more = await courier.pass(deadlineIn(passMs, now));
      underWay--;
      if (stopped) return;
      const timer = setTimeout(
        () => {
          timers.delete(timer);
          void carry();
        },
        more ? 0 : pauseMs,
      ).unref();
      timers.add(timer);
    };
    void carry();
  }
  return {
    stop() {
      stopped = true;
      for (const timer of timers) clearTimeout(timer);
    },
    underWay: () => underWay > 0,
  };
}
