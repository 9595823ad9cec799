import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import { isJsonObject } from '../../lib/strict-json.ts';
import type { Texts } from '../ledger.ts';
import { storeTime } from '../log/landing.ts';
import type { Timer } from './held-answers.ts';

/** A tree of a log: where it ends says nothing alone, as a log may go back with its database. */
export interface Proof {
  readonly generation: number;
  readonly end: number;
  readonly root: string;
}

/** How far a standby is, as it is kept beside the log for the other processes of the first. */
export interface KeptConfirmation {
  readonly confirmed: number;
  /** Of the tree that ends there; absent where nothing is confirmed. */
  readonly generation?: number;
  readonly root?: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Absent where nobody waits for it. */
  readonly instance?: string;
}

type Kept = KeptConfirmation & { readonly instance: string };

/** How often it is kept, milliseconds: what changed is waited for elsewhere. */
export const keepMs = { changed: 100, same: 1_000 } as const;
/** Another process may keep its own at the same moment. */
const tries = 3;

export function openKeptConfirmation(texts: () => Texts, standby: string, now: () => number, timer: Timer) {
  const name = `standby:${standby}`;
  const soon = () => deadlineIn(storeTime, now);
  let newest: Kept | undefined;
  let kept: Kept | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let waiting = false;

  const read = async (deadline: Deadline): Promise<[string | undefined, KeptConfirmation | undefined]> => {
    const text = await texts().read(name, deadline);
    return [text, keptIn(text)];
  };

  /** What the same database was heard to have, it has: a process that heard it earlier takes nothing back. */
  async function write(mine: Kept): Promise<void> {
    for (let time = 0; time < tries; time++) {
      const [was, there] = await read(soon());
      const ahead = there?.instance === mine.instance && there.root !== undefined && there.confirmed > mine.confirmed;
      if (ahead && there.at >= mine.at) return;
      const next = ahead ? { ...there, at: mine.at } : mine;
      if (await texts().write(name, was, JSON.stringify(next), soon())) break;
    }
    kept = mine;
  }

  function writeNewest(): void {
    if (newest === undefined) return;
    triedAt = now();
    const mine = newest;
    Promise.resolve()
      .then(() => write(mine))
      .catch(() => {});
  }

  return {
    read: async (deadline: Deadline): Promise<KeptConfirmation | undefined> => (await read(deadline))[1],
    /** The log may have gone back. */
    forget(): void {
      newest = undefined;
    },
    /** Now and then; the newest is kept in any case, as somebody elsewhere may wait for it. One that fails is kept with the next. */
    keep(proof: Proof | undefined, instance: string): void {
      const was = newest?.instance === instance ? newest : undefined;
      const { end = 0, generation, root } = proof ?? {};
      const mine = was !== undefined && was.confirmed >= end ? was : { confirmed: end, generation, root };
      newest = { ...mine, at: now(), instance };
      const isSame = kept?.confirmed === mine.confirmed && kept.root === mine.root && kept.instance === instance;
      const gone = now() - triedAt;
      // A clock that was set back must not make it wait for as long.
      const wait = gone < 0 ? 0 : (isSame ? keepMs.same : keepMs.changed) - gone;
      if (wait <= 0) writeNewest();
      else if (!isSame && !waiting) {
        waiting = true;
        timer(wait, () => {
          waiting = false;
          writeNewest();
        });
      }
    },
  };
}

/** What cannot be read is kept anew. */
function keptIn(text: string | undefined): KeptConfirmation | undefined {
  try {
    const value: unknown = JSON.parse(text ?? 'null');
    if (!isJsonObject(value) || typeof value.confirmed !== 'number' || typeof value.at !== 'number') return undefined;
    return value as unknown as KeptConfirmation;
  } catch {
    return undefined;
  }
}
