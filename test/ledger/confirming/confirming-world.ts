import { openConfirming } from '../../../src/ledger/confirming/confirming.ts';
import type { Confirming } from '../../../src/ledger/confirming/contract.ts';
import { openRelying } from '../../../src/ledger/confirming/relying.ts';
import { originOf } from '../../../src/ledger/generation.ts';
import type { Texts } from '../../../src/ledger/ledger.ts';
import { deadlineIn } from '../../../src/lib/deadline.ts';

/** What a run of the model came to. */
export interface Tally {
  steps: number;
  answered: number;
  told: number;
  unconfirmed: number;
  rolls: number;
  promotions: number;
  late: number;
  pledges: number;
  forgotten: number;
}

export const newTally = (): Tally => ({
  steps: 0,
  answered: 0,
  told: 0,
  unconfirmed: 0,
  rolls: 0,
  promotions: 0,
  late: 0,
  pledges: 0,
  forgotten: 0,
});

/** What makes the model unsafe on purpose, to see that it would be found out. */
export interface Broken {
  readonly answersAtOnce?: true;
  readonly promotesAnyway?: true;
  readonly forgetsFence?: true;
  readonly rollsAlone?: true;
  readonly takesAnyDatabase?: true;
  readonly hearsTooEarly?: true;
  readonly tellsWhatIsThere?: true;
}

export interface Entry {
  readonly id: string;
  readonly generation: number;
}

/** A database: what is in it is durable, and several processes use it. */
export interface Database {
  readonly entries: Entry[];
  generation: number;
  base: number;
  readonly texts: Map<string, string>;
  /** Where the log it followed ended, and the log it began. */
  promoted?: { readonly kept: number; readonly generation: number };
}

export interface Process {
  readonly database: Database;
  alive: boolean;
  busy: number;
}

export interface First extends Process {
  readonly confirming: Confirming;
}

export interface Follower extends Process {
  readonly relying: ReturnType<typeof openRelying>;
  readonly name: string;
  asking: boolean;
}

export interface Event {
  readonly of?: Process;
  /** Whether a process that died may have got so far as to have this done all the same. */
  readonly durable: boolean;
  run(): void;
}

const origin = 'model';

/** mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The databases and processes of one schedule, and what is under way between them: durable steps, messages and timers. */
export function openWorld(seed: number, tally: Tally) {
  /** What may happen next, in no order; and by a timer. */
  const world = { events: [] as Event[], timers: [] as Event[], time: 1_000_000 };
  const random = randomOf(seed);
  const chance = (p: number) => random() < p;
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
  const now = () => world.time;
  const soon = () => deadlineIn(2_000, now);
  let ids = 0;
  const newId = (kind: string) => `${kind}${ids++}`;
  const newDatabase = (): Database => ({ entries: [], generation: 1, base: 0, texts: new Map() });
  const own = newDatabase();
  const copies = [newDatabase(), newDatabase(), newDatabase()];
  const answers: { readonly id: string; readonly at: number }[] = [];
  const fail = (what: string): never => {
    throw new Error(`${what} (seed ${seed})`);
  };

  function step<T>(of: Process, work: () => T, durable = true): Promise<T> {
    return new Promise((resolve, reject) => {
      world.events.push({
        of,
        durable,
        run: () => {
          try {
            const value = work();
            if (of.alive) resolve(value);
          } catch (error) {
            reject(error);
          }
        },
      });
    });
  }

  const textsOf = (of: Process): Texts => ({
    read: (name) => step(of, () => of.database.texts.get(name), false),
    write: (name, was, text) =>
      step(of, () => {
        const { texts } = of.database;
        if (texts.get(name) !== was) return false;
        if (text === null) texts.delete(name);
        else texts.set(name, text);
        return true;
      }),
  });

  const rootAt = (database: Database, end: number) => (end === 0 ? 'empty' : `${database.entries[end - 1]?.id}#${end}`);
  const sizeOf = ({ entries, base }: Database) => entries.length - base;

  /** Nothing that anybody was told may be missing in a log that took over, and no name may stand for two logs. */
  function check(): void {
    for (const { promoted, entries } of copies) {
      if (promoted === undefined) continue;
      for (const { id, at } of answers)
        if (at >= promoted.kept || entries[at]?.id !== id) fail(`entry ${at} was answered and is lost`);
      if (own.generation >= promoted.generation) fail(`log ${promoted.generation} has begun twice`);
    }
    if (copies.filter(({ promoted }) => promoted !== undefined).length > 1) fail('two took over');
  }

  function begin(generation: number): boolean {
    if (own.generation !== generation) return false;
    own.generation++;
    own.entries.push({ id: newId('r'), generation: own.generation });
    own.base = own.entries.length - 1;
    tally.rolls++;
    check();
    return true;
  }

  function openFirst(): First {
    const standby = pick(['a', 'a', 'a', 'a', 'b', undefined]);
    const first: First = {
      database: own,
      alive: true,
      busy: 0,
      confirming: openConfirming({
        ...(standby !== undefined && { terms: { standby, within: 1_000 } }),
        serves: chance(0.9),
        now,
        log: (_, event) => {
          if (event === 'pledge') tally.pledges++;
        },
        timer: (_, work) => {
          const event: Event = { of: first, durable: false, run: () => first.alive && work() };
          if (first.alive) world.timers.push(event);
          return () => {
            world.timers = world.timers.filter((one) => one !== event);
          };
        },
      }),
    };
    first.confirming.bind({
      origin,
      texts: textsOf(first),
      head: () => step(first, () => ({ generation: own.generation, base: own.base, size: sizeOf(own) }), false),
      treeAt: (end) =>
        step(
          first,
          () => {
            const entry = own.entries[end - 1];
            return entry === undefined ? undefined : `${originOf(origin, entry.generation)}\n0\n${rootAt(own, end)}\n`;
          },
          false,
        ),
      roll: ({ generation }) =>
        step(first, () => {
          const done = begin(generation as number);
          return { log: originOf(origin, own.generation), generation: own.generation, done };
        }),
    });
    return first;
  }

  const openFollower = (database: Database, name: string): Follower => {
    const follower: Follower = {
      database,
      alive: true,
      busy: 0,
      name,
      asking: false,
      relying: undefined as never,
    };
    return Object.assign(follower, {
      relying: openRelying(textsOf(follower), { newInstance: () => newId('i'), log: () => {} }),
    });
  };

  function acknowledge(id: string, at: number): void {
    answers.push({ id, at });
    if (copies.some(({ promoted }) => promoted !== undefined)) tally.late++;
    check();
  }

  return {
    world,
    now,
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
  };
}
