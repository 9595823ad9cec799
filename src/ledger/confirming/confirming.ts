import { before, type Deadline, deadlineIn } from '../../lib/deadline.ts';
import type { LogFacts } from '../../lib/platform.ts';
import type { Pledge, Poll } from '../following.ts';
import { originOf } from '../generation.ts';
import type { Rolled, RollRequest } from '../ledger.ts';
import { endOf } from '../log/draft.ts';
import { storeTime } from '../log/landing.ts';
import type { AnswerGate } from '../log/parts.ts';
import { unavailable } from '../unavailable.ts';
import type { BareLog, Confirming, ConfirmingDeps } from './contract.ts';
import { inTime, openHeldAnswers } from './held-answers.ts';
import { type KeptConfirmation, keepMs, openKeptConfirmation } from './kept-confirmation.ts';
import { openLooking } from './looking.ts';
import { isFree, longestPollMs, unpledged } from './pledge.ts';
import { openPledging } from './pledging.ts';
import { openProofs, type Proved } from './proofs.ts';
import { openWakes } from './wakes.ts';

/** Requests that may wait to be confirmed. */
const mostHeld = 10_000;
/** How often it is looked for what other processes did; milliseconds. */
const lookMs = 100;
/** So much later than it should have, a standby may be heard of; milliseconds. */
const lateMs = 500;

/**
 * Holds back the answers of a log until its standby has confirmed what they are of; see docs/going-on.md. Where nothing
 * is to be confirmed, an answer is held back only where the log that grows is one that was not looked at yet: the mode
 * begins with a log of its own, so no process goes on answering beside it.
 */
export function openConfirming(deps: ConfirmingDeps): Confirming {
  const { terms, serves, now, log, count, timer = inTime } = deps;
  const held = openHeldAnswers(terms?.within ?? 0, timer, late);
  const wakes = openWakes(timer);
  const kept = openKeptConfirmation(() => bound().texts, terms?.standby ?? '', now, timer);
  const said = new Set<string>();
  let bare: BareLog | undefined;
  let replaced = false;
  /** Something was not confirmed in time, and nothing was since. */
  let stuck = false;
  let contactAt = Number.NEGATIVE_INFINITY;
  let polledAt = Number.NEGATIVE_INFINITY;
  let keptAt: number | undefined;
  let serial = 0;
  let watching = false;

  const bound = (): BareLog => {
    if (bare === undefined) throw unavailable('closed');
    return bare;
  };
  const soon = () => deadlineIn(storeTime, now);
  const away = () => {
    // A clock that was set back would make it near for as long.
    contactAt = Math.min(contactAt, now());
    return now() - contactAt > (terms?.within ?? 0) + longestPollMs + keepMs.same + lateMs;
  };

  function say(level: 'warn' | 'error', event: string, facts: LogFacts): void {
    if (said.has(event)) return;
    said.add(event);
    log(level, event, facts);
  }

  function late(): void {
    const standby = terms?.standby ?? '';
    stuck = true;
    count?.('hallpass_unconfirmed_total', { standby });
    sayAway();
  }

  const sayAway = () => say('warn', 'standby_away', { standby: terms?.standby ?? '' });

  function hear(pledge: Pledge | undefined): void {
    if (pledge?.state === 'replaced') refuseAll(pledge);
    else replaced = false;
    looking.heard(pledge);
    if ((pledge?.serial ?? 0) > serial) wakes.wake();
    serial = pledge?.serial ?? 0;
  }

  function refuseAll({ standby, generation }: Pledge): void {
    replaced = true;
    say('error', 'replaced_by_standby', { standby, generation });
    held.refuse('replaced');
  }

  const looking = openLooking({
    pledge: async () => (await pledging.read(soon())).pledge,
    async head(deadline) {
      const { generation, base, size } = await bound().head(deadline);
      return { generation, end: base + size };
    },
    refused({ state, standby }) {
      if (state !== 'replaced') say('error', 'confirm_promised', { standby });
    },
    pause: () => new Promise((resolve) => timer(lookMs, resolve)),
  });

  const proofs = openProofs({
    bound,
    soon,
    forgotten() {
      held.forget();
      kept.forget();
    },
    again: (proof) => confirmed(proof, terms?.standby ?? ''),
  });
  const doubted = () => proofs.doubt();

  async function provenPoll({ after: end, generation, root }: Poll, deadline: Deadline): Promise<Proved | undefined> {
    const proof = await proofs.of({ end, ...(root !== undefined && generation && { generation, root }) }, deadline);
    if (proof === undefined && root !== undefined && end <= held.confirmed) doubted();
    return proof;
  }

  /** Whose promise it is, only that one is told. */
  function toldTo(pledge: Pledge | undefined, name: string, instance: string | undefined): Pledge | undefined {
    if (pledge?.standby !== name) return name === terms?.standby ? unpledged(name) : undefined;
    if (pledge.instance === instance) return pledge;
    if (instance !== undefined && !isFree(pledge)) say('error', 'other_standby_instance', { standby: name });
    return { ...pledge, instance: '' };
  }

  async function polled(poll: Poll, deadline: Deadline): Promise<Pledge | undefined> {
    const { name, instance, heard = 0 } = poll;
    const proof = poll.promoted === undefined ? await provenPoll(poll, deadline) : undefined;
    // Read after what it proves: a promise to another database of it is newer than what this one has.
    const { pledge } = await pledging.proceed(poll, deadline);
    if (pledge?.standby !== name || pledge.instance !== instance) return toldTo(pledge, name, instance);
    if (poll.promoted !== undefined || pledge.state === 'replaced') return pledge;
    if (name === terms?.standby) confirm(name, instance, proof);
    if (pledge.state === 'on' && heard >= pledge.serial) await rollPromised(pledge, deadline);
    return pledge;
  }

  function confirm(name: string, instance: string, proof: Proved | undefined): void {
    contactAt = now();
    polledAt = contactAt;
    confirmed(proof, name);
    kept.keep(proofs.stands(proof) ? proof : undefined, instance);
  }

  function confirmed(proof: Proved | undefined, standby: string): void {
    // What is kept of one that was not heard of for long, it may have confirmed before it took over.
    if (proofs.stands(proof) && !away() && held.confirm(proof.end)) {
      proofs.mark(proof);
      stuck = false;
    }
    // Whoever waits for nothing new may have been told that it was away.
    if (!stuck && !away() && said.delete('standby_away')) log('info', 'standby_back', { standby });
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
      const since = now() - polledAt;
      const seen = since >= 0 && since < lookMs * 2 ? Promise.resolve() : hearOthers(soon());
      seen.catch(() => {}).finally(watch);
    });
  }

  async function hearOthers(deadline: Deadline): Promise<void> {
    const heard = await kept.read(deadline);
    const { pledge } = await pledging.read(deadline);
    if (heard?.instance === undefined || heard.instance !== pledge?.instance) return;
    // By its own clock: that of another process may be off.
    const isNews = keptAt !== undefined && heard.at !== keptAt;
    contactAt = isNews ? now() : Math.max(contactAt, Math.min(heard.at, now()));
    keptAt = heard.at;
    confirmed(await provenKept(heard, deadline), pledge.standby);
  }

  /** What is kept beside a log goes back with it, or is of how it was before. */
  const provenKept = async ({ confirmed: end, generation, root }: KeptConfirmation, deadline: Deadline) =>
    end <= held.confirmed || generation === undefined || root === undefined
      ? undefined
      : proofs.of({ end, generation, root }, deadline);

  /** Rejects with Refusal ledger_unavailable where it takes too long. Undefined: it is confirmed. */
  function waitFor(end: number, many: number): Promise<void> | undefined {
    const waiting = held.hold(end, many);
    wakes.wake();
    if (waiting !== undefined) watch();
    return waiting;
  }

  async function roll(request: RollRequest, deadline: Deadline): Promise<Rolled> {
    const { origin } = bound();
    const { generation } = await bound().head(deadline);
    if (request.generation !== undefined && request.generation !== generation) {
      await settled(endOf(await bound().head(deadline)), deadline);
      return { log: originOf(origin, generation), generation, done: false };
    }
    if (terms === undefined) {
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
    if (pledge?.state !== 'on' || pledge.standby !== terms.standby) throw unavailable('unconfirmed');
    await pledging.announce({ ...was, pledge }, generation, request.reason ?? 'ordered', deadline);
    return whenRolled(generation, deadline);
  }

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

  const pledging = openPledging({ bound, standby: terms?.standby, serves, log, heard: hear });

  const gate: AnswerGate = {
    admit() {
      if (terms === undefined) return looking.admit();
      if (replaced) throw unavailable('replaced');
      if (held.many >= mostHeld) throw unavailable('queue_full');
      // One finds out whether it is back; more of them would fill the log with what nobody is told of.
      if (held.many > 0 && stuck) throw unavailable('unconfirmed');
    },
    hold(generation, end, many, begin) {
      if (terms === undefined) return looking.hold(generation, end());
      // Where something new is written nothing was confirmed before, unless that is gone.
      if (begin !== undefined && begin < held.confirmed) doubted();
      if (replaced) return handled(Promise.reject(unavailable('replaced')));
      // One that was replaced and has not heard of it would go on telling what was confirmed once.
      if (end() <= held.confirmed && away()) return handled(ready(soon()).then(() => waitFor(end(), many)));
      return waitFor(end(), many);
    },
    doubted,
    close() {
      bare = undefined;
      held.refuse('closed');
      wakes.wake();
    },
  };

  async function ready(deadline: Deadline): Promise<void> {
    if (terms === undefined) return looking.ready(deadline);
    if (away()) await hearOthers(deadline);
    if (replaced) throw unavailable('replaced');
    if (!away()) return;
    sayAway();
    throw unavailable('unconfirmed');
  }

  async function settled(end: number, deadline: Deadline): Promise<void> {
    if (terms === undefined) return looking.settled(end, deadline);
    if (replaced) throw unavailable('replaced');
    if (end > held.confirmed && held.many >= mostHeld) throw unavailable('queue_full');
    // Who asked may have less time than the standby has.
    await before(
      deadline,
      () => unavailable('unconfirmed'),
      async () => waitFor(end, 1),
    );
  }

  return {
    ...gate,
    waits: terms !== undefined,
    settled,
    bind(given) {
      bare = given;
    },
    async begin(deadline) {
      const { generation } = await bound().head(deadline);
      if (terms === undefined) await looking.look(generation);
      else await pledging.read(deadline);
    },
    polled,
    async news({ name, instance, after, heard = 0 }, ms, deadline) {
      const until = deadlineIn(ms, now);
      for (;;) {
        const woken = wakes.next(Math.min(lookMs, until.left()));
        const was = held.confirmed;
        const { base, size } = await bound().head(deadline);
        if (base + size < was) doubted();
        const { pledge } = await pledging.read(deadline);
        const told = (pledge?.serial ?? 0) <= heard && base + size <= after;
        if (pledge?.instance === instance) contactAt = now();
        if (!told || until.left() <= 0 || deadline.left() <= 0) return toldTo(pledge, name, instance);
        await woken;
      }
    },
    roll,
    ready,
  };
}

/** Nobody may be waiting for it. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
