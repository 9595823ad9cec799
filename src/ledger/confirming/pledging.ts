import type { Deadline } from '../../lib/deadline.ts';
import type { OperatorLog } from '../../lib/platform.ts';
import type { Pledge, Poll } from '../following.ts';
import { unavailable } from '../unavailable.ts';
import type { BareLog } from './contract.ts';
import { forgottenReason, isFree, pledgeIn, pledgeName } from './pledge.ts';

/** What is promised, and the text that says so. */
export interface Read {
  readonly text: string | undefined;
  readonly pledge: Pledge | undefined;
}

/** How a first comes to promise something, and how that ends: each step is one compare and set of one text. */
export interface Pledging {
  /** Rejects with Refusal ledger_unavailable. The first read takes back what this process does not want promised. */
  read(deadline: Deadline): Promise<Read>;
  /** What a question changes: a promise begins, is known to be over, or the standby has taken over. */
  proceed(poll: Poll, deadline: Deadline): Promise<Read>;
  /** Promises that a standby of this promise may not take over before it has the log after this one. */
  announce(
    was: Read & { readonly pledge: Pledge },
    generation: number,
    reason: string,
    deadline: Deadline,
  ): Promise<void>;
}

export interface PledgingDeps {
  readonly bound: () => BareLog;
  /** The standby to which this process is to promise something. */
  readonly standby: string | undefined;
  /** Whether this process may take anything back. */
  readonly serves: boolean;
  readonly log: OperatorLog;
  /** Told of each promise that is read or written. */
  readonly heard: (pledge: Pledge | undefined) => void;
}

export function openPledging({ bound, standby, serves, log, heard }: PledgingDeps): Pledging {
  let turned = !serves;
  let wasOn = false;

  async function read(deadline: Deadline): Promise<Read> {
    const text = await bound().texts.read(pledgeName, deadline);
    let found: Read = { text, pledge: pledgeIn(text) };
    if (!turned) found = await takeBack(found, deadline);
    turned = true;
    wasOn ||= found.pledge?.state === 'on' && found.pledge.standby === standby;
    heard(found.pledge);
    return found;
  }

  async function write({ text }: Read, pledge: Pledge, deadline: Deadline): Promise<Read> {
    const next = JSON.stringify(pledge);
    if (!(await bound().texts.write(pledgeName, text, next, deadline))) throw unavailable('pledge_moved');
    const { standby, state, generation } = pledge;
    log('info', 'pledge', { standby, state, generation });
    heard(pledge);
    return { text: next, pledge };
  }

  /** What was promised and is not wanted any more ends once the standby has heard so. */
  async function takeBack(was: Read, deadline: Deadline): Promise<Read> {
    const { pledge } = was;
    if (pledge === undefined || pledge.standby === standby) return was;
    if (pledge.state === 'on') return write(was, { ...pledge, serial: pledge.serial + 1, state: 'off' }, deadline);
    return pledge.state === 'entering' ? write(was, { ...pledge, state: 'over' }, deadline) : was;
  }

  /** One that this process saw begin and end is not begun by it again: another, that was started since, does not want it. */
  function mayEnter({ pledge }: Read, { name }: Poll): boolean {
    if (name !== standby) return false;
    if (isFree(pledge)) return !wasOn || pledge?.reason === forgottenReason;
    return pledge?.state === 'entering' && pledge.standby === name;
  }

  /** The promise begins with the next log: whoever appends to this one meanwhile finds another, and looks. */
  async function enter(was: Read, name: string, instance: string, deadline: Deadline): Promise<Read> {
    const { pledge } = was;
    const serial = (pledge?.serial ?? 0) + 1;
    const begun: Pledge = { serial, standby: name, instance, state: 'entering', generation: 0, reason: 'confirmed' };
    const entering =
      pledge?.state === 'entering' && pledge.instance === instance ? was : await write(was, begun, deadline);
    // Only now: a log that begins from here on is begun by who knows of it.
    const { generation } = await bound().head(deadline);
    wasOn = true;
    const on = entering.pledge as Pledge;
    return write(entering, { ...on, serial: on.serial + 1, state: 'on', generation: generation + 1 }, deadline);
  }

  return {
    read,
    async proceed(poll, deadline) {
      const { name, instance, promoted, heard: known = 0 } = poll;
      let was = await read(deadline);
      if (instance !== undefined && promoted === undefined && mayEnter(was, poll))
        was = await enter(was, name, instance, deadline);
      const { pledge } = was;
      if (pledge?.standby !== name || pledge.instance !== instance) return was;
      if (pledge.state === 'replaced') return was;
      // One that an operator took for gone, and is not, may take over all the same: then there are not to be two.
      if (pledge.state === 'over' && (promoted === undefined || pledge.reason !== forgottenReason)) return was;
      if (promoted !== undefined) {
        const over: Pledge = { ...pledge, serial: pledge.serial + 1, state: 'replaced', generation: promoted };
        return write(was, over, deadline);
      }
      const isOver = pledge.state === 'off' && known >= pledge.serial;
      return isOver ? write(was, { ...pledge, state: 'over' }, deadline) : was;
    },
    async announce(was, generation, reason, deadline) {
      const { pledge } = was;
      if (pledge.generation > generation) return;
      await write(was, { ...pledge, serial: pledge.serial + 1, generation: generation + 1, reason }, deadline);
    },
  };
}
