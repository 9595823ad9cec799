import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import type { LogFacts, OperatorLog } from '../../lib/platform.ts';
import type { Confirmations, Pledge, Poll } from '../following.ts';
import { originOf } from '../generation.ts';
import type { Rolled, RollRequest, Texts } from '../ledger.ts';
import { storeTime } from '../log/landing.ts';
import type { AnswerGate } from '../log/parts.ts';
import type { Head } from '../log-store.ts';
import { unavailable } from '../unavailable.ts';
import { openHeldAnswers, type Timer } from './held-answers.ts';
import { openKeptConfirmation } from './kept-confirmation.ts';
import { isFree, longestPollMs, unpledged } from './pledge.ts';
import { openPledging } from './pledging.ts';
import { openWakes } from './wakes.ts';

/** By whom, and within how many milliseconds, an append must be confirmed before it is answered. */
export interface ConfirmTerms {
  readonly standby: string;
  readonly within: number;
}

/** The log as it is, where nobody need confirm anything. */
export interface BareLog {
  readonly origin: string;
  readonly texts: Texts;
  head(deadline: Deadline): Promise<Pick<Head, 'generation' | 'base' | 'size'>>;
  /** The checkpoint of the tree that ends at a position; undefined where no commit ended there. */
  treeAt(end: number, deadline: Deadline): Promise<string | undefined>;
  roll(request: RollRequest, deadline: Deadline): Promise<Rolled>;
}

export interface Confirming extends AnswerGate, Confirmations {
  /** Gives it the log whose answers it holds back. */
  bind(log: BareLog): void;
  /** Reads what was promised, and takes back what is not to hold any longer, where this process serves. */
  begin(deadline: Deadline): Promise<void>;
  roll(request: RollRequest, deadline: Deadline): Promise<Rolled>;
  /** Rejects when nothing would be answered now. */
  ready(deadline: Deadline): Promise<void>;
}

export interface ConfirmingDeps {
  /** Absent: nothing is to be confirmed, and it is only seen to that nobody relies on that. */
  readonly terms?: ConfirmTerms;
  /** Whether this process serves: a command beside the server takes nothing back. */
  readonly serves: boolean;
  readonly now: () => number;
  readonly log: OperatorLog;
  readonly count?: (name: string, labels: Readonly<Record<string, string>>) => void;
  readonly timer?: Timer;
}

/** Requests that may wait to be confirmed. */
const mostHeld = 10_000;
/** How often it is looked for what other processes did; milliseconds. */
const lookMs = 100;
const inTime: Timer = (ms, work) => {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
};

/**
 * Holds back the answers of a log until its standby has confirmed what they are of; see docs/going-on.md. Where nothing
 * is to be confirmed, an answer is held back only where the log that grows is one that was not looked at yet: the mode
 * begins with a log of its own, so no process goes on answering beside it.
 */
export function openConfirming(deps: ConfirmingDeps): Confirming {
  const { terms, serves, now, log, count, timer = inTime } = deps;
  const held = openHeldAnswers(terms?.within ?? 0, timer, late);
  const wakes = openWakes(timer);
  const kept = openKeptConfirmation(() => bound().texts, terms?.standby ?? '', now);
  const said = new Set<string>();
  let bare: BareLog | undefined;
  let looked: number | undefined;
  let replaced = false;
  let contactAt = Number.NEGATIVE_INFINITY;
  let proved: { readonly key: string; readonly end: number } | undefined;
  let serial = 0;
  let watching = false;

  const bound = (): BareLog => {
    if (bare === undefined) throw unavailable('closed');
    return bare;
  };
  const soon = () => deadlineIn(storeTime, now);
  const away = () => now() - contactAt > (terms?.within ?? 0) + longestPollMs;

  function say(level: 'warn' | 'error', event: string, facts: LogFacts): void {
    if (said.has(event)) return;
    said.add(event);
    log(level, event, facts);
  }

  function late(): void {
    const standby = terms?.standby ?? '';
    count?.('hallpass_unconfirmed_total', { standby });
    say('warn', 'standby_away', { standby });
  }

  function hear(pledge: Pledge | undefined): void {
    if (pledge?.state === 'replaced') refuseAll(pledge);
    else replaced = false;
    if ((pledge?.serial ?? 0) > serial) wakes.wake();
    serial = pledge?.serial ?? 0;
  }

  function refuseAll({ standby, generation }: Pledge): void {
    replaced = true;
    say('error', 'replaced_by_standby', { standby, generation });
    held.refuse('replaced');
  }

  async function look(generation: number): Promise<void> {
    const { pledge } = await pledging.read(soon());
    if (isFree(pledge)) {
      looked = generation;
      return;
    }
    if (pledge?.state === 'replaced') throw unavailable('replaced');
    say('error', 'confirm_promised', { standby: pledge?.standby ?? '' });
    throw unavailable('confirm_promised');
  }

  /** Up to where the standby has this very log: another history of as many entries confirms nothing. */
  async function provedEnd({ after, generation, root }: Poll, deadline: Deadline): Promise<number> {
    if (root === undefined || generation === undefined) return 0;
    const key = `${generation} ${after} ${root}`;
    if (proved?.key === key) return proved.end;
    const [name, , hash] = ((await bound().treeAt(after, deadline)) ?? '').split('\n', 3);
    if (name !== originOf(bound().origin, generation) || hash !== root) return 0;
    proved = { key, end: after };
    return after;
  }

  async function polled(poll: Poll, deadline: Deadline): Promise<Pledge | undefined> {
    const { name, instance, heard = 0 } = poll;
    const end = poll.promoted === undefined ? await provedEnd(poll, deadline) : 0;
    // Read after what it proves: a promise to another database of it is newer than what this one has.
    const { pledge } = await pledging.proceed(poll, deadline);
    if (pledge?.standby !== name) return name === terms?.standby ? unpledged(name) : undefined;
    if (pledge.instance !== instance) {
      if (instance !== undefined && !isFree(pledge)) say('error', 'other_standby_instance', { standby: name });
      // Whose promise it is, only that one is told.
      return { ...pledge, instance: '' };
    }
    if (poll.promoted !== undefined || pledge.state === 'replaced') return pledge;
    if (name === terms?.standby) confirm(name, instance, end);
    if (pledge.state === 'on' && heard >= pledge.serial) await rollPromised(pledge, deadline);
    return pledge;
  }

  function confirm(name: string, instance: string, end: number): void {
    contactAt = now();
    if (said.delete('standby_away')) log('info', 'standby_back', { standby: name });
    held.confirm(end);
    kept.keep(end, instance);
  }

  /** The standby knows of that log and will not begin it: now it may be. */
  async function rollPromised({ generation, reason }: Pledge, deadline: Deadline): Promise<void> {
    const { generation: newest } = await bound().head(deadline);
    if (newest >= generation) return;
    await bound().roll({ generation: generation - 1, reason }, deadline);
    wakes.wake();
  }

  /** Another process may be the one that the standby asks. */
  function watch(): void {
    if (watching || held.many === 0) return;
    watching = true;
    timer(lookMs, () => {
      watching = false;
      if (held.many === 0) return;
      const seen = now() - contactAt < lookMs * 2 ? Promise.resolve() : hearOthers(soon());
      seen.catch(() => {}).finally(watch);
    });
  }

  async function hearOthers(deadline: Deadline): Promise<void> {
    const heard = await kept.read(deadline);
    const { pledge } = await pledging.read(deadline);
    if (heard?.instance === undefined || heard.instance !== pledge?.instance) return;
    contactAt = Math.max(contactAt, heard.at);
    held.confirm(heard.confirmed);
  }

  async function roll(request: RollRequest, deadline: Deadline): Promise<Rolled> {
    const { origin } = bound();
    const { generation } = await bound().head(deadline);
    if (request.generation !== undefined && request.generation !== generation)
      return { log: originOf(origin, generation), generation, done: false };
    if (terms === undefined) {
      await look(generation);
      return bound().roll({ ...request, generation }, deadline);
    }
    const was = await pledging.read(deadline);
    const { pledge } = was;
    // What ends by force is ended by the standby.
    if (request.lost !== undefined) throw unavailable('confirm_promised');
    if (pledge?.state !== 'on' || pledge.standby !== terms.standby) throw unavailable('unconfirmed');
    await pledging.announce({ ...was, pledge }, generation, request.reason ?? 'ordered', deadline);
    return whenRolled(generation, deadline);
  }

  async function whenRolled(before: number, deadline: Deadline): Promise<Rolled> {
    while (deadline.left() > 0) {
      const { generation, base, size } = await bound().head(deadline);
      if (generation > before) {
        await gate.hold(generation, () => base + size, 1);
        return { log: originOf(bound().origin, generation), generation, done: true };
      }
      await wakes.next(Math.min(lookMs, deadline.left()));
    }
    throw unavailable('unconfirmed');
  }

  const pledging = openPledging({ bound, standby: terms?.standby, serves, log, heard: hear });

  const gate: AnswerGate = {
    admit() {
      if (terms === undefined) return;
      if (replaced) throw unavailable('replaced');
      if (held.many >= mostHeld) throw unavailable('queue_full');
      // One finds out whether it is back; more of them would fill the log with what nobody is told of.
      if (held.many > 0 && away()) throw unavailable('unconfirmed');
    },
    hold(generation, end, many) {
      if (terms === undefined) return generation === looked ? undefined : look(generation);
      if (replaced) return Promise.reject(unavailable('replaced'));
      const waiting = held.hold(end(), many);
      wakes.wake();
      if (waiting !== undefined) watch();
      return waiting;
    },
    close() {
      bare = undefined;
      held.refuse('closed');
      wakes.wake();
    },
  };

  return {
    ...gate,
    bind(given) {
      bare = given;
    },
    async begin(deadline) {
      const { generation } = await bound().head(deadline);
      if (terms === undefined) await look(generation);
      else await pledging.read(deadline);
    },
    polled,
    async news({ name, instance, after, heard = 0 }, ms, deadline) {
      const until = deadlineIn(ms, now);
      for (;;) {
        const woken = wakes.next(Math.min(lookMs, until.left()));
        const { base, size } = await bound().head(deadline);
        const { pledge } = await pledging.read(deadline);
        const told = (pledge?.serial ?? 0) <= heard && base + size <= after;
        if (pledge?.instance === instance) contactAt = now();
        if (!told || until.left() <= 0 || deadline.left() <= 0) return pledge?.standby === name ? pledge : undefined;
        await woken;
      }
    },
    roll,
    async ready(deadline) {
      const { generation } = await bound().head(deadline);
      if (terms === undefined) {
        if (looked !== generation) await look(generation);
        return;
      }
      if (away()) await hearOthers(deadline);
      if (replaced) throw unavailable('replaced');
      if (away()) throw unavailable('unconfirmed');
    },
  };
}
