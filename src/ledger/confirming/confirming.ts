import { before, type Deadline, deadlineIn } from '../../lib/deadline.ts';
import type { LogFacts } from '../../lib/platform.ts';
import type { Pledge, Poll } from '../following.ts';
import { storeTime } from '../log/landing.ts';
import type { AnswerGate } from '../log/parts.ts';
import { unavailable } from '../unavailable.ts';
import { openContact } from './contact.ts';
import type { BareLog, Confirming, ConfirmingDeps } from './contract.ts';
import { inTime, openHeldAnswers } from './held-answers.ts';
import { type KeptConfirmation, openKeptConfirmation } from './kept-confirmation.ts';
import { openLooking } from './looking.ts';
import { isFree, unpledged } from './pledge.ts';
import { openPledging } from './pledging.ts';
import { openProofs, type Proved } from './proofs.ts';
import { openRolling } from './rolling.ts';
import { openWakes } from './wakes.ts';

/** Requests that may wait to be confirmed. */
const mostHeld = 10_000;
/** How often it is looked for what other processes did; milliseconds. */
const lookMs = 100;

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
  const contact = openContact(terms?.within ?? 0, now);
  const { away } = contact;
  const said = new Set<string>();
  let bare: BareLog | undefined;
  let replaced = false;
  /** Something was not confirmed in time, and nothing was since. */
  let stuck = false;
  let polledAt = Number.NEGATIVE_INFINITY;
  let serial = 0;
  let watching = false;

  const bound = (): BareLog => {
    if (bare === undefined) throw unavailable('closed');
    return bare;
  };
  const soon = () => deadlineIn(storeTime, now);
  const pause = () => new Promise<void>((resolve) => void timer(lookMs, resolve));

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
    if (isFree(pledge)) said.delete('confirm_promised');
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
    pause,
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
    if (pledge.state === 'on' && heard >= pledge.serial) await rolling.promised(pledge, deadline);
    return pledge;
  }

  function confirm(name: string, instance: string, proof: Proved | undefined): void {
    contact.heard();
    polledAt = now();
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
    const readAt = now();
    const heard = await kept.read(deadline);
    const { pledge } = await pledging.read(deadline);
    if (heard?.instance === undefined || heard.instance !== pledge?.instance) return;
    const proof = await provenKept(heard, deadline);
    contact.kept(heard.at, readAt);
    confirmed(proof, pledge.standby);
  }

  /** What is kept beside a log goes back with it, or is of how it was before. */
  async function provenKept(
    { confirmed: end, generation, root }: KeptConfirmation,
    deadline: Deadline,
  ): Promise<Proved | undefined> {
    if (end > held.confirmed) return proofs.of({ end, generation, root }, deadline);
    // The other does not say that the log went back: it may know nothing of what was confirmed here.
    await proofs.check(deadline);
    return undefined;
  }

  /** Rejects with Refusal ledger_unavailable where it takes too long. Undefined: it is confirmed. */
  function waitFor(end: number, many: number): Promise<void> | undefined {
    const waiting = held.hold(end, many);
    wakes.wake();
    if (waiting !== undefined) watch();
    return waiting;
  }

  const pledging = openPledging({ bound, standby: terms?.standby, serves, log, heard: hear });

  const rolling = openRolling({ bound, standby: terms?.standby, pledging, looking, wakes, settled, lookMs });

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
    for (; away() && contact.unsure && deadline.left() > 0; await hearOthers(deadline)) await pause();
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
        if (pledge?.instance === instance) contact.heard();
        // A clock that was set back would keep it waiting for as long.
        const left = until.left();
        if (!told || left <= 0 || left > ms || deadline.left() <= 0) return toldTo(pledge, name, instance);
        await woken;
      }
    },
    roll: rolling.roll,
    ready,
  };
}

/** Nobody may be waiting for it. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
