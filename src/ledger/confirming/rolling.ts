import type { Deadline } from '../../lib/deadline.ts';
import type { Pledge } from '../following.ts';
import { originOf } from '../generation.ts';
import type { Rolled, RollRequest } from '../ledger.ts';
import { endOf } from '../log/draft.ts';
import { unavailable } from '../unavailable.ts';
import type { BareLog } from './contract.ts';
import type { Looking } from './looking.ts';
import { isFree } from './pledge.ts';
import type { Pledging } from './pledging.ts';
import type { Wakes } from './wakes.ts';

/** How a log ends where a standby is to know of the next one before it begins. */
export interface Rolling {
  /** Rejects with Refusal ledger_unavailable. */
  roll(request: RollRequest, deadline: Deadline): Promise<Rolled>;
  /** The standby knows of that log and will not begin it: now it may be. */
  promised(pledge: Pledge, deadline: Deadline): Promise<void>;
}

export interface RollingDeps {
  readonly bound: () => BareLog;
  /** Whom answers wait for; undefined: nobody. */
  readonly standby: string | undefined;
  readonly pledging: Pledging;
  readonly looking: Looking;
  readonly wakes: Wakes;
  readonly settled: (end: number, deadline: Deadline) => Promise<void>;
  /** How often it is looked for what other processes did; milliseconds. */
  readonly lookMs: number;
}

export function openRolling({ bound, standby, pledging, looking, wakes, settled, lookMs }: RollingDeps): Rolling {
  async function whenRolled(before: number, deadline: Deadline): Promise<Rolled> {
    while (deadline.left() > 0) {
      const head = await bound().head(deadline);
      const { generation } = head;
      if (generation > before) {
        await settled(endOf(head), deadline);
        return { log: originOf(bound().origin, generation), generation, done: true };
      }
      await wakes.next(Math.min(lookMs, deadline.left()));
    }
    throw unavailable('unconfirmed');
  }

  return {
    async roll(request, deadline) {
      const { origin } = bound();
      const { generation } = await bound().head(deadline);
      if (request.generation !== undefined && request.generation !== generation) {
        await settled(endOf(await bound().head(deadline)), deadline);
        return { log: originOf(origin, generation), generation, done: false };
      }
      if (standby === undefined) {
        await looking.look(generation);
        return bound().roll({ ...request, generation }, deadline);
      }
      const was = await pledging.read(deadline);
      const { pledge } = was;
      if (request.lost !== undefined) {
        // What ends by force is ended by the standby, where there is one that relies on it.
        if (!isFree(pledge)) throw unavailable('confirm_promised');
        return bound().roll({ ...request, generation }, deadline);
      }
      if (pledge?.state !== 'on' || pledge.standby !== standby) throw unavailable('unconfirmed');
      await pledging.announce({ ...was, pledge }, generation, request.reason ?? 'ordered', deadline);
      return whenRolled(generation, deadline);
    },
    async promised({ generation, reason }, deadline) {
      const { generation: newest } = await bound().head(deadline);
      if (newest >= generation) return;
      await bound().roll({ generation: generation - 1, reason }, deadline);
      wakes.wake();
    },
  };
}
