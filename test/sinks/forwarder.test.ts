import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { Runtime } from '../../src/lib/platform.ts';
import { UpstreamError } from '../../src/lib/upstream.ts';
import { carryCheckpoints } from '../../src/sinks/carry-checkpoints.ts';
import { carryRecords } from '../../src/sinks/carry-records.ts';
import { openCourier } from '../../src/sinks/courier.ts';
import type { SinkEntry } from '../../src/sinks/entry.ts';
import { openForwarder } from '../../src/sinks/forwarder.ts';
import type { SinkSettings } from '../../src/sinks/settings.ts';
import type { Sink } from '../../src/sinks/sink.ts';
import { handClock, type MemorySource, memorySource, sinkDeps, soon, told } from './rig.ts';

const down = () => new UpstreamError('unreachable', { step: 'deliver', status: 503 });

interface Rig {
  readonly source?: MemorySource;
  readonly settings?: Partial<SinkSettings>;
  readonly sink?: Sink;
}

/** A courier from a ledger in memory to a list; `got` has what arrived, in order. */
function rig({ source = memorySource(), settings = {}, sink }: Rig = {}) {
  const clock = handClock();
  const got: SinkEntry[] = [];
  const calls: number[] = [];
  const state: { fail: (() => Error) | undefined; closed?: true } = { fail: undefined };
  const inner: Sink = sink ?? {
    async deliver(entries) {
      if (state.fail !== undefined) throw state.fail();
      calls.push(entries.length);
      got.push(...entries);
    },
  };
  const said = told();
  const make = () => {
    const route = {
      sink: 'siem',
      settings: { kind: 'file', ...settings },
      source,
      open: async () => (state.closed ? Promise.reject(new Error('not to be opened')) : inner),
      now: clock.now,
    };
    const carry = settings.send === 'checkpoints' ? carryCheckpoints(route) : carryRecords(route, said.log);
    return openCourier(route, carry, { now: clock.now, ...said });
  };
  const courier = make();
  const pass = () => courier.pass(soon());
  return { clock, source, got, calls, state, said, make, pass, leaves: () => got.map(({ leaf }) => leaf) };
}

/** A sink whose answers to these calls, counted from 1, are lost on their way; it has what was sent all the same. */
function losing(calls: readonly number[], reason = 'connection_reset') {
  const arrived: number[] = [];
  let call = 0;
  const sink: Sink = {
    async deliver(entries) {
      arrived.push(...entries.map(({ leaf }) => leaf));
      if (calls.includes(++call)) throw new UpstreamError('unreachable', { step: 'deliver', reason });
    },
  };
  return { sink, arrived };
}

const upTo = (count: number) => Array.from({ length: count }, (_, at) => at);

describe('carrying records', () => {
  test('brings all there is in order, in pieces, and no more when there is no more', async () => {
    const { source, clock, pass, leaves, calls } = rig({ settings: { batch: 100 } });
    source.grow(250, clock.at);
    await pass();
    expect(leaves()).toEqual(upTo(250));
    expect(calls).toEqual([100, 100, 50]);
    await pass();
    expect(leaves()).toHaveLength(250);
  });

  test('goes on after a restart where the cursor stands', async () => {
    const { source, clock, pass, make, leaves } = rig();
    source.grow(3, clock.at);
    await pass();
    source.grow(2, clock.at);
    await make().pass(soon());
    expect(leaves()).toEqual(upTo(5));
  });

  test('brings again what arrived and whose cursor was lost, and leaves nothing out', async () => {
    const { source, clock, pass, make, leaves } = rig();
    source.grow(3, clock.at);
    const { write } = source.texts;
    source.texts.write = async () => {
      throw new Error('killed');
    };
    await pass();
    source.texts.write = write;
    source.grow(1, clock.at);
    await make().pass(soon());
    expect(leaves()).toEqual([0, 1, 2, 0, 1, 2, 3]);
  });

  test('tells how far a sink is behind that cannot be opened', async () => {
    const { source, clock, pass, state, said } = rig();
    state.closed = true;
    source.grow(3, clock.at);
    clock.at += 90_000;
    await pass();
    const labels = 'sink="siem",log="pass.example.com/ledger"';
    expect(said.metrics.render()).toContain(`hallpass_sink_lag_records{${labels}} 3\n`);
    expect(said.metrics.render()).toContain(`hallpass_sink_lag_seconds{${labels}} 90\n`);
  });

  test('sends the same piece again where the answer is unknown, though more has come', async () => {
    const { source, clock, pass, calls, state } = rig();
    source.grow(3, clock.at);
    state.fail = down;
    await pass();
    source.grow(2, clock.at);
    state.fail = undefined;
    clock.at += 1_000;
    await pass();
    expect(calls).toEqual([3, 2]);
  });

  test('sends fewer at once where the other side finds them too large, and all of them in the end', async () => {
    const { source, clock, pass, calls, state, leaves } = rig({ settings: { batch: 8 } });
    source.grow(10, clock.at);
    const tooLarge = () => new UpstreamError('invalid', { step: 'deliver', status: 413 });
    for (let n = 0; n < 2; n++) {
      state.fail = tooLarge;
      await pass();
      clock.at += 60_000;
    }
    state.fail = undefined;
    await pass();
    expect(calls).toEqual([2, 2, 2, 2, 2]);
    expect(leaves()).toEqual(upTo(10));
  });

  test('is not kept for ever by a sink that hangs', async () => {
    const hangs = rig({ sink: { deliver: () => new Promise(() => {}) } });
    hangs.source.grow(1, hangs.clock.at);
    await hangs.make().pass(soon(600));
    expect(hangs.said.metrics.render()).toContain('reason="slow"} 1');
    const checkpoints = rig({ settings: { send: 'checkpoints' }, sink: { publish: () => new Promise(() => {}) } });
    checkpoints.source.grow(1, checkpoints.clock.at);
    await checkpoints.make().pass(soon(600));
    expect(checkpoints.said.metrics.render()).toContain('reason="slow"} 1');
  });

  test('sends again at once what a connection lost, however often, and keeps no sink waiting that else answers', async () => {
    const { sink, arrived } = losing([2, 4, 7]);
    const { source, clock, pass, said } = rig({ sink, settings: { batch: 2 } });
    source.grow(8, clock.at);
    await pass();
    expect(arrived).toEqual([0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7]);
    expect(said.metrics.render()).toMatch(/sink_failures_total\{.*reason="unreachable"\} 2$/m);
    expect(said.lines).toEqual([]);
  });

  test('waits where what it sent again at once is lost too, and after any other failure', async () => {
    for (const { sink, arrived } of [losing([2, 3]), losing([2], 'connection_refused')]) {
      const { source, clock, pass, said } = rig({ sink, settings: { batch: 2 } });
      source.grow(4, clock.at);
      await pass();
      const before = arrived.length;
      expect(said.lines).toMatchObject([{ event: 'sink_failed', facts: { count: 1, ms: 1_000 } }]);
      await pass();
      expect(arrived).toHaveLength(before);
      clock.at += 1_000;
      await pass();
      expect([...new Set(arrived)]).toEqual(upTo(4));
      expect(said.lines.at(-1)).toMatchObject({ event: 'sink_recovered' });
    }
  });

  test('says that there is more than one pass may carry, and then that there is no more', async () => {
    const { source, clock, make, leaves } = rig({ settings: { batch: 1 } });
    source.grow(51, clock.at);
    const courier = make();
    expect(await courier.pass(soon())).toBe(true);
    expect(leaves()).toEqual(upTo(50));
    expect(await courier.pass(soon())).toBe(false);
    expect(leaves()).toEqual(upTo(51));
  });

  test('waits longer after each failure, a minute at most, and asks nobody meanwhile', async () => {
    const { source, clock, pass, state, said } = rig();
    source.grow(1, clock.at);
    const asked: number[] = [];
    state.fail = () => {
      asked.push(clock.at / 1000);
      return down();
    };
    for (let second = 0; second < 240; second++) {
      await pass();
      clock.at += 1_000;
    }
    const waits = asked.slice(1).map((at, before) => at - (asked[before] as number));
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
    expect(said.metrics.render()).toContain(
      'hallpass_sink_failures_total{sink="siem",log="pass.example.com/ledger",reason="unreachable"} 9',
    );
  });

  test('waits no longer than that because the clock was set back by a day, whatever it waits for', async () => {
    const lost = rig();
    const { write } = lost.source.texts;
    lost.source.texts.write = async () => false;
    const slow = rig();
    slow.state.fail = () => new UpstreamError('throttled', { status: 429, retryAfter: 30 });
    for (const { source, clock, pass } of [lost, slow]) {
      source.grow(1, clock.at);
      await pass();
      clock.at -= 86_400_000;
    }
    lost.source.texts.write = write;
    slow.state.fail = undefined;
    for (const { clock, pass, source, got } of [lost, slow]) {
      const before = got.length;
      await pass();
      expect(got).toHaveLength(before);
      clock.at += 30_000;
      await pass();
      expect(got).toHaveLength(before + 1);
      expect(source.kept.get('sink:siem')).toBe('{"next":1}');
    }
  });

  test('waits as long as it was asked to', async () => {
    const { source, clock, pass, state, leaves } = rig();
    source.grow(1, clock.at);
    state.fail = () => new UpstreamError('throttled', { status: 429, retryAfter: 30 });
    await pass();
    state.fail = undefined;
    clock.at += 29_000;
    await pass();
    expect(leaves()).toEqual([]);
    clock.at += 1_000;
    await pass();
    expect(leaves()).toEqual([0]);
  });

  test('tries a piece that is refused again and again, says so as an error, and passes nothing by', async () => {
    const { source, clock, pass, state, said, leaves } = rig();
    source.grow(2, clock.at);
    state.fail = () => new UpstreamError('invalid', { step: 'deliver', status: 400 });
    for (let n = 0; n < 5; n++) {
      await pass();
      clock.at += 60_000;
    }
    expect(leaves()).toEqual([]);
    const failures = said.lines.filter(({ event }) => event === 'sink_failed');
    expect(failures).toHaveLength(5);
    expect(failures[0]).toMatchObject({ level: 'error', facts: { sink: 'siem', code: 'invalid', status: 400 } });
    state.fail = undefined;
    await pass();
    expect(leaves()).toEqual([0, 1]);
    expect(said.lines.at(-1)).toMatchObject({ level: 'info', event: 'sink_recovered' });
  });

  test('tells how far it is behind, in records and seconds, also while it waits', async () => {
    const { source, clock, pass, state, said } = rig();
    const lag = (what: string) =>
      new RegExp(`^hallpass_sink_lag_${what}\\{sink="siem",log="pass.example.com/ledger"\\} (\\d+)$`, 'm').exec(
        said.metrics.render(),
      )?.[1];
    source.grow(7, clock.at);
    state.fail = down;
    clock.at += 5_000;
    await pass();
    expect([lag('records'), lag('seconds')]).toEqual(['7', '5']);
    clock.at += 500;
    await pass();
    expect(lag('seconds')).toBe('6');
    state.fail = undefined;
    clock.at += 1_000;
    await pass();
    expect([lag('records'), lag('seconds')]).toEqual(['0', '0']);
  });

  test('gives no disclosure unless told to', async () => {
    const plain = rig();
    plain.source.grow(1, plain.clock.at);
    await plain.pass();
    expect(plain.got[0]?.disclosure).toBeNull();
    const whole = rig({ settings: { disclosures: true } });
    whole.source.grow(1, whole.clock.at);
    await whole.pass();
    expect(whole.got[0]?.disclosure).not.toBeNull();
  });

  test('gives each of two sinks what it asks for, and neither what the other does', async () => {
    const source = memorySource();
    const plain = rig({ source, settings: { types: ['denial'] } });
    const whole = rig({ source, settings: { disclosures: true } });
    source.grow(3, plain.clock.at);
    source.texts.read = async () => undefined;
    source.texts.write = async () => true;
    await Promise.all([plain.pass(), whole.pass()]);
    expect(plain.got.map(({ leaf, disclosure }) => [leaf, disclosure])).toEqual([[0, null]]);
    expect(whole.got.map(({ leaf, disclosure }) => [leaf, disclosure === null])).toEqual([
      [0, false],
      [1, false],
      [2, false],
    ]);
  });

  test('gives only the types asked for, and its cursor passes the others', async () => {
    const { source, clock, pass, leaves } = rig({ settings: { types: ['denial'] } });
    source.grow(7, clock.at);
    await pass();
    expect(leaves()).toEqual([0, 3, 6]);
    expect(source.kept.get('sink:siem')).toBe('{"next":7}');
  });

  test('begins at the end for a sink that is new from now on', async () => {
    const { source, clock, pass, leaves } = rig({ settings: { since: 'now' } });
    source.grow(5, clock.at);
    await pass();
    source.grow(2, clock.at);
    await pass();
    expect(leaves()).toEqual([5, 6]);
  });

  test('lets the first wait for more where the sink wants few large pieces', async () => {
    const { source, clock, pass, calls } = rig({ settings: { every: '1m', batch: 10 } });
    source.grow(3, clock.at);
    await pass();
    expect(calls).toEqual([]);
    source.grow(7, clock.at);
    await pass();
    expect(calls).toEqual([10]);
    source.grow(1, clock.at);
    clock.at += 60_000;
    await pass();
    expect(calls).toEqual([10, 1]);
  });

  test('bounds a piece by its bytes too', async () => {
    const { source, clock, pass, calls } = rig();
    source.grow(4, clock.at);
    for (const [at, entry] of source.all.entries()) source.all[at] = { ...entry, disclosure: 'x'.repeat(400_000) };
    await pass();
    expect(calls).toEqual([2, 2]);
  });

  test('says that entries are gone before it could carry them', async () => {
    const { source, clock, pass, leaves, said } = rig();
    source.grow(5, clock.at);
    const { entries } = source;
    source.entries = async (from, to, until) => (await entries(from, to, until)).filter(({ index }) => index !== 2);
    await pass();
    expect(leaves()).toEqual([0, 1, 3, 4]);
    expect(said.lines).toMatchObject([{ level: 'warn', event: 'sink_gap', facts: { count: 1 } }]);
  });

  test('is held up by no pass that never ended longer than by its deadline', async () => {
    let calls = 0;
    const got: number[] = [];
    const sink: Sink = {
      deliver: async (entries) => {
        if (++calls === 1) await new Promise(() => {});
        got.push(...entries.map(({ leaf }) => leaf));
      },
    };
    const { source, clock, make } = rig({ sink });
    source.grow(2, clock.at);
    const courier = make();
    void courier.pass(deadlineIn(30_000, clock.now));
    await courier.pass(deadlineIn(30_000, clock.now));
    expect(got).toEqual([]);
    while (calls === 0) await new Promise((resolve) => setImmediate(resolve));
    // Nor by a clock that is set back meanwhile.
    clock.at -= 86_400_000;
    await courier.pass(deadlineIn(30_000, clock.now));
    expect(got).toEqual([]);
    clock.at += 30_000;
    await courier.pass(deadlineIn(30_000, clock.now));
    expect(got).toEqual([0, 1]);
  });

  test('leaves the work to another process that carries the same', async () => {
    const shared = memorySource();
    const one = rig({ source: shared });
    const other = rig({ source: shared });
    shared.grow(4, one.clock.at);
    // Both have read the cursor before either has moved it.
    await Promise.all([one.pass(), other.pass()]);
    expect(shared.kept.get('sink:siem')).toBe('{"next":4}');
    const ahead = one.got.length + other.got.length;
    shared.grow(2, one.clock.at);
    await Promise.all([one.pass(), other.pass()]);
    expect(one.got.length + other.got.length).toBe(ahead + 2);
  });

  test('brings everything at least once and in order, whatever fails and whoever is killed', async () => {
    const step = fc.record({
      who: fc.nat(1),
      grow: fc.nat(4),
      wait: fc.nat(70),
      fault: fc.constantFrom('none', 'before', 'after', 'lost', 'once', 'cursor', 'kill'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const source = memorySource();
        const clock = handClock();
        const arrived: number[] = [];
        let fault = 'none';
        const sink: Sink = {
          async deliver(entries) {
            if (fault === 'before') throw down();
            arrived.push(...entries.map(({ leaf }) => leaf));
            if (fault === 'after') throw down();
            const lost = fault === 'lost' || fault === 'once';
            if (fault === 'once') fault = 'none';
            if (lost) throw new UpstreamError('unreachable', { step: 'deliver', reason: 'connection_reset' });
          },
        };
        const { write } = source.texts;
        source.texts.write = async (...args) => {
          if (fault === 'cursor') throw down();
          return write(...args);
        };
        const make = () => {
          const route = {
            sink: 'siem',
            settings: { kind: 'file', batch: 3 },
            source,
            open: async () => sink,
            now: clock.now,
          };
          return openCourier(
            route,
            carryRecords(route, () => {}),
            { now: clock.now, ...told() },
          );
        };
        const couriers = [make(), make()];
        for (const { who, grow, wait, fault: next } of steps) {
          source.grow(grow, clock.at);
          fault = next === 'kill' ? 'cursor' : next;
          await couriers[who]?.pass(soon());
          if (next === 'kill') couriers[who] = make();
          clock.at += wait * 1000;
        }
        fault = 'none';
        clock.at += 120_000;
        await couriers[0]?.pass(soon());
        const first = arrived.filter((leaf, at) => arrived.indexOf(leaf) === at);
        expect(first).toEqual(upTo(source.all.length));
      }),
      { numRuns: 150 },
    );
  });
});

describe('a forwarder', () => {
  /** How many of 120 records a run brings to a sink that takes one at a time. */
  async function ran(runtime: Runtime): Promise<number> {
    const source = memorySource();
    source.grow(120, Date.now());
    let calls = 0;
    const fetch = async () => {
      calls++;
      return new Response(null, { status: 204 });
    };
    const entry = { kind: 'http', url: 'https://siem.test', format: 'native', batch: 1 };
    const depsOf = () => sinkDeps({ fetch });
    const forwarder = openForwarder({ siem: entry }, [source], { runtime, now: Date.now, ...told(), depsOf });
    await forwarder.run(soon());
    return calls;
  }

  test('brings all there is in one run', async () => {
    expect(await ran('lambda')).toBe(120);
    expect(await ran('node')).toBe(120);
  });

  test.each(['native', 'ocsf', 'cloudevents'])(
    'says no more in an event of a Worker than its log keeps of one, in %s',
    async (format) => {
      const source = memorySource();
      source.grow(600, Date.now());
      const depsOf = () => sinkDeps({ runtime: 'workerd' });
      const entry = { kind: 'stdout', format, batch: 500 };
      const forwarder = openForwarder({ out: entry }, [source], {
        runtime: 'workerd',
        now: Date.now,
        ...told(),
        depsOf,
      });
      const events: string[][] = [];
      const { log } = console;
      console.log = (line: string) => void events.at(-1)?.push(line);
      try {
        for (let event = 0; event < 10; event++) {
          events.push([]);
          await forwarder.run(soon());
        }
      } finally {
        console.log = log;
      }
      expect(Math.max(...events.map((lines) => lines.join('').length))).toBeLessThan(256 * 1024);
      expect(events.flat()).toHaveLength(600);
    },
  );

  test('brings what an event of a Worker has calls for, and the rest with the next', async () => {
    expect(await ran('workerd')).toBe(50);
  });
});

describe('carrying checkpoints', () => {
  test('brings the newest, at most once a minute, and never an older one', async () => {
    const sizes: number[] = [];
    const sink: Sink = {
      async publish({ size, known }) {
        expect(known).toBe(sizes.at(-1) ?? 0);
        sizes.push(size);
        return undefined;
      },
    };
    const { source, clock, make } = rig({ sink, settings: { send: 'checkpoints' } });
    source.grow(3, clock.at);
    await make().pass(soon());
    source.grow(3, clock.at);
    clock.at += 30_000;
    await make().pass(soon());
    expect(sizes).toEqual([3]);
    clock.at += 30_000;
    await make().pass(soon());
    expect(sizes).toEqual([3, 6]);
    // The ledger was put back to an older copy of itself.
    source.all.splice(2);
    clock.at += 120_000;
    await make().pass(soon());
    expect(sizes).toEqual([3, 6]);
  });

  test('takes what another process has brought meanwhile for no larger tree than there is', async () => {
    const source = memorySource();
    const other = JSON.stringify({ end: 5, at: 0, log: source.name, size: 5 });
    const passing = async (error: UpstreamError) => {
      const sink: Sink = {
        async publish() {
          source.kept.set('sink:siem', other);
          throw error;
        },
      };
      source.kept.clear();
      const { pass, said } = rig({ source, sink, settings: { send: 'checkpoints' } });
      await pass();
      expect(source.kept.get('sink:siem')).toBe(other);
      return said.lines;
    };
    source.grow(3, Date.now());
    const ahead = new UpstreamError('invalid', { step: 'witness', status: 409, reason: 'witness_is_ahead' });
    expect(await passing(ahead)).toEqual([]);
    // Another tree of the same size is another one, whoever went on.
    expect(await passing(new UpstreamError('damaged', { step: 'deliver', reason: 'other_checkpoint' }))).toHaveLength(
      1,
    );
  });

  test('keeps what the sink answered', async () => {
    const sink: Sink = { publish: async ({ note }) => `${note}cosigned\n` };
    const { source, clock, pass } = rig({ sink, settings: { send: 'checkpoints' } });
    source.grow(1, clock.at);
    await pass();
    expect(JSON.parse(source.kept.get('sink:siem') ?? '{}')).toMatchObject({
      end: 1,
      size: 1,
      note: expect.stringContaining('cosigned'),
    });
  });
});
