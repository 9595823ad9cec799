import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import type { Texts } from '../ledger.ts';
import { storeTime } from '../log/landing.ts';

/** How far a standby is, as it is kept beside the log for the other processes of the first. */
export interface KeptConfirmation {
  readonly confirmed: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Absent where nobody waits for it. */
  readonly instance?: string;
}

/** How often it is kept, milliseconds. */
const keepMs = { changed: 250, same: 2_000 } as const;

export function openKeptConfirmation(texts: () => Texts, standby: string, now: () => number) {
  const name = `standby:${standby}`;
  const soon = () => deadlineIn(storeTime, now);
  let last = { confirmed: -1, at: Number.NEGATIVE_INFINITY };

  async function write(text: string): Promise<void> {
    await texts().write(name, await texts().read(name, soon()), text, soon());
  }

  return {
    async read(deadline: Deadline): Promise<KeptConfirmation | undefined> {
      const text = await texts().read(name, deadline);
      return text === undefined ? undefined : JSON.parse(text);
    },
    /** Now and then; nobody's answer waits for it, and one that fails is kept with the next. */
    keep(confirmed: number, instance: string): void {
      if (now() - last.at < (confirmed === last.confirmed ? keepMs.same : keepMs.changed)) return;
      last = { confirmed, at: now() };
      Promise.resolve()
        .then(() => write(JSON.stringify({ ...last, instance })))
        .catch(() => {});
    },
  };
}
