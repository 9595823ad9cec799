import { forgetStandby, pledgeIn, pledgeName, reliedIn, reliedName } from '../../../src/ledger/confirming/pledge.ts';
import { takeOver } from '../../../src/ledger/confirming/relying.ts';
import type { Pledge, Poll } from '../../../src/ledger/following.ts';
import {
  type Broken,
  type Database,
  type Entry,
  type First,
  type Follower,
  newTally,
  openWorld,
  type Process,
  type Tally,
} from './confirming-world.ts';

export { type Broken, newTally };

/**
 * One schedule: processes of a first over one database and of its standbys over theirs, where every durable step, every
 * message and every timer happens when the seed says so, late, twice or never. No clock keeps anything safe here: standbys
 * try to take over whenever the seed says so. Throws where what was answered is lost, or a log begins twice.
 */
export async function runSchedule(seed: number, steps: number, tally: Tally, broken: Broken = {}): Promise<void> {
  const {
    world,
    acknowledge,
    begin,
    chance,
    check,
    copies,
    newId,
    openFirst,
    openFollower,
    own,
    pick,
    random,
    rootAt,
    soon,
    step,
    textsOf,
  } = openWorld(seed, tally);
  let destroyed = false;
  const eager = pick([0.003, 0.01, 0.03]);
  const lossy = pick([0, 0.05, 0.3]);
  const hasty = pick([0.01, 0.05, 0.15]);
  const shy = broken.takesAnyDatabase ? 0.3 : pick([0.3, 0.9]);
  const restless = pick([0.0005, 0.003, 0.01]);

  const firsts = [openFirst(), openFirst()];
  // The third is another database under the name of the first: nobody told the one before to go.
  const names = ['a', 'b', 'a'];
  const followers = [0, 0, 1, 2].map((at) => openFollower(copies[at] as Database, names[at] as string));

  const doing = (of: Process, work: () => Promise<unknown>): void => {
    of.busy++;
    work()
      .catch((error) => {
        if (error instanceof Error && error.name !== 'Refusal')
          world.events.unshift({
            durable: false,
            run: () => {
              throw error;
            },
          });
      })
      .finally(() => of.busy--);
  };

  async function append(first: First, old?: number): Promise<void> {
    first.confirming.admit();
    const { at, id, generation, isNew } = await step(first, () => {
      const known = old === undefined ? undefined : own.entries[old];
      if (known === undefined) own.entries.push({ id: newId('e'), generation: own.generation });
      const at = known === undefined ? own.entries.length - 1 : (old as number);
      return { at, id: (own.entries[at] as Entry).id, generation: own.generation, isNew: known === undefined };
    });
    const { confirming } = first;
    const held = broken.answersAtOnce
      ? undefined
      : confirming.hold(broken.forgetsFence ? 1 : generation, () => at + 1, 1, isNew ? at : undefined);
    await held?.catch((error) => {
      tally.unconfirmed++;
      throw error;
    });
    if (!first.alive) return;
    tally.answered++;
    acknowledge(id, at);
  }

  /** Whoever finds there what was to be written takes it for written. */
  async function tell(first: First): Promise<void> {
    const { id, at } = await step(
      first,
      () => {
        const at = own.entries.length - 1 - Math.floor(random() * Math.min(own.entries.length, 3));
        return { at, id: own.entries[at]?.id };
      },
      false,
    );
    if (id?.startsWith('e') !== true) return;
    if (!broken.tellsWhatIsThere) await first.confirming.settled(at + 1, soon());
    if (!first.alive) return;
    tally.told++;
    acknowledge(id, at);
  }

  interface Answer {
    readonly entries: readonly Entry[];
    readonly from: number;
    readonly generation: number;
    readonly base: number;
    readonly pledge: Pledge | undefined;
  }

  /** As the route does it. */
  async function serve(first: First, poll: Poll, reply: (answer: Answer) => void): Promise<void> {
    const { instance, serial } = JSON.parse(own.texts.get(pledgeName) ?? '{}') as Partial<Pledge>;
    const said = {
      ...poll,
      ...(broken.takesAnyDatabase && poll.instance && instance && { instance }),
      ...(broken.hearsTooEarly && serial && { heard: serial }),
    };
    let pledge = await first.confirming.polled(said, soon());
    if (chance(0.5) && pledge !== undefined) pledge = await first.confirming.news(poll, chance(0.5) ? 0 : 500, soon());
    const answer = await step(
      first,
      () => {
        const entries = own.entries.slice(poll.after, poll.after + 1 + Math.floor(random() * 4));
        const generation = entries[0]?.generation ?? own.generation;
        const run = entries.filter((entry) => entry.generation === generation);
        return {
          entries: run,
          from: poll.after,
          generation,
          base: own.entries.findIndex((e) => e.generation === generation),
          pledge,
        };
      },
      false,
    );
    world.events.push({ durable: false, run: () => reply(answer) });
  }

  function send(poll: Poll, reply: (answer: Answer) => void): void {
    const copies = chance(lossy / 3) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (chance(lossy)) continue;
      world.events.push({
        durable: false,
        run: () => {
          const alive = firsts.filter((one) => one.alive);
          if (alive.length === 0) return;
          const first = pick(alive);
          doing(first, () => serve(first, poll, (answer) => !chance(lossy) && reply(answer)));
        },
      });
    }
  }

  /** As `followOne` does it. */
  async function follow(follower: Follower): Promise<void> {
    const { database, relying, name } = follower;
    const head = await step(
      follower,
      () => ({
        generation: database.generation,
        end: database.entries.length,
        promoted: database.promoted,
        checkpoint: `\n\n${rootAt(database, database.entries.length)}\n`,
      }),
      false,
    );
    const asked = await relying.asked(head, soon());
    if (typeof asked === 'string') {
      const kept = database.texts.get(reliedName);
      const instance = (JSON.parse(kept ?? '{}') as { instance: string }).instance;
      if (database.promoted !== undefined)
        send({ name, after: 0, instance, promoted: database.promoted.generation }, () => {});
      return;
    }
    if (database.promoted !== undefined) return;
    const answer = await new Promise<Answer>((resolve, reject) => {
      send({ name, after: head.end, ...asked }, resolve);
      world.timers.push({
        of: follower,
        durable: false,
        run: () => reject(Object.assign(new Error('late'), { name: 'Refusal' })),
      });
    });
    await step(follower, () => {
      const { entries, from, generation, base } = answer;
      if (database.promoted !== undefined || from !== database.entries.length || entries.length === 0) return;
      if (generation !== database.generation && generation !== database.generation + 1) return;
      if (generation !== database.generation) [database.generation, database.base] = [generation, base];
      database.entries.push(...entries);
    });
    await relying.hear(answer.pledge, asked, soon());
  }

  /** As `promote` does it; told at any time, by no clock. */
  async function promote(follower: Follower): Promise<void> {
    const { database, relying } = follower;
    const generation = await step(follower, () => database.generation, false);
    const doubt = chance(0.3) ? await relying.doubt(soon()) : undefined;
    if (chance(0.05)) await relying.answered(soon());
    if (broken.promotesAnyway) await step(follower, () => {});
    else {
      // By hand it goes on in any case; what is lost by that nobody promised.
      const by = chance(0.1) ? 'told' : 'itself';
      if ((await takeOver(textsOf(follower), { by, generation, doubt }, soon())) !== 'covered') return;
    }
    await step(follower, () => {
      if (database.promoted !== undefined || database.generation !== generation) return;
      database.promoted = { kept: database.entries.length, generation: generation + 1 };
      database.entries.push({ id: newId('p'), generation: generation + 1 });
      database.generation++;
      tally.promotions++;
      check();
    });
  }

  function kill(of: Process): void {
    of.alive = false;
    // What was on its way to the disk got there, or did not, or will.
    world.timers = world.timers.filter((event) => event.of !== of);
    world.events = world.events.filter((event) => event.of !== of || (event.durable && chance(0.5)));
  }

  /** The database of the standby that was relied on is gone for good, and an operator says so. */
  async function destroy(): Promise<void> {
    if (destroyed || copies.some(({ promoted }) => promoted !== undefined)) return;
    destroyed = true;
    for (const at of [0, 1]) {
      kill(followers[at] as Follower);
      followers[at] = followers[3] as Follower;
    }
    // What it had on its way goes with it.
    world.events = world.events.filter(({ of }) => of?.database !== copies[0]);
    const texts = textsOf(pick(firsts));
    const { instance } = pledgeIn(await texts.read(pledgeName, soon())) ?? {};
    // Said of another one it would be a lie.
    if (instance === undefined || instance !== reliedIn(copies[0]?.texts.get(reliedName))?.instance) return;
    await forgetStandby(texts, 'a', soon());
    tally.forgotten++;
  }

  for (const first of firsts) doing(first, () => first.confirming.begin(soon()));
  // What comes long after somebody took over has little to tell.
  for (let done = 0, after = 0; done < steps && after < 500; done++) {
    if (copies.some(({ promoted }) => promoted !== undefined)) after++;
    tally.steps++;
    world.time += chance(0.01) ? 5_000 : Math.floor(random() * 40);
    const roll = random();
    if (roll < restless) {
      const at = Math.floor(random() * firsts.length);
      kill(firsts[at] as First);
      const next = openFirst();
      firsts[at] = next;
      doing(next, () => next.confirming.begin(soon()));
    } else if (roll < restless * 2) {
      const at = Math.floor(random() * followers.length);
      const old = followers[at] as Follower;
      kill(old);
      const next = openFollower(old.database, old.name);
      for (const [place, one] of followers.entries()) if (one === old) followers[place] = next;
    } else if (roll < restless * 2 + 0.0002) {
      doing(firsts[0] as First, destroy);
    } else if (roll < restless * 2 + 0.0002 + eager) {
      const follower = pick(followers);
      doing(follower, () => promote(follower));
    } else if (roll < 0.1) {
      const first = pick(firsts);
      if (first.busy < 12) {
        const old = chance(0.2) && own.entries.length > 0 ? Math.floor(random() * own.entries.length) : undefined;
        const known = old !== undefined && own.entries[old]?.id.startsWith('e') ? old : undefined;
        doing(first, () => append(first, known));
      }
    } else if (roll < 0.102) {
      const first = pick(firsts);
      if (first.busy < 12) doing(first, () => tell(first));
    } else if (roll < 0.106) {
      const first = pick(firsts);
      if (broken.rollsAlone) doing(first, () => step(first, () => begin(own.generation)));
      else doing(first, () => first.confirming.roll({ reason: 'due' }, soon()));
    } else if (roll < 0.2) {
      // The database that came later shows up now and then only.
      const follower = pick(chance(shy) ? followers.slice(0, 3) : followers);
      if (!follower.asking) {
        follower.asking = true;
        doing(follower, () => follow(follower).finally(() => (follower.asking = false)));
      }
    } else if (world.timers.length > 0 && (roll < 0.2 + hasty || world.events.length === 0)) {
      const [timer] = world.timers.splice(Math.floor(random() * world.timers.length), 1);
      timer?.run();
    } else if (world.events.length > 0) {
      const at = Math.floor(random() * Math.min(world.events.length, chance(0.1) ? world.events.length : 12));
      const [event] = world.events.splice(at, 1);
      event?.run();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}
