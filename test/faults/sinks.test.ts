import { createHash } from 'node:crypto';
import { afterAll, expect, it } from 'vitest';
import { inspectSqliteLedger } from '../../src/ledger/drivers/sqlite/inspect.ts';
import { type FakeAnswer, type FakeCall, type FakeFault, startFake } from '../fakes/server.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { type RunningServer, startServer, temporaryFolder, writeConfig } from '../support/server.ts';

const kills = Number(process.env.HALLPASS_KILLS ?? 3);
/** How long the sink is down in each round, milliseconds: HALLPASS_SINK_DOWN, such as 60000. */
const downMs = Number(process.env.HALLPASS_SINK_DOWN ?? 700);
/** Issuances a second at most: HALLPASS_LOAD, such as 300 where it is down for long; else as many as there are answers. */
const perSecond = Number(process.env.HALLPASS_LOAD ?? Number.POSITIVE_INFINITY);
const clients = 4;
/** The longest pause between two attempts. */
const longestPauseMs = 60_000;

const { folder, remove } = temporaryFolder();
afterAll(remove);

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const digest = (text: string) => createHash('sha256').update(text).digest('base64url');
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

it(`brings every record to a sink at least once and in order, down for ${downMs} ms in mid-load and in each of ${kills} rounds that end in kill -9`, {
  timeout: 60_000 + (kills + 1) * (20_000 + Math.min(longestPauseMs, downMs) + 4 * downMs),
}, async () => {
  const issuer = testIssuer('https://issuer.test', 'https://pass.test');
  /** Of each call that was taken, the indices in it, as they came. */
  const arrived: number[] = [];
  /** Digests of their texts. */
  const records = new Map<number, string>();
  const met = { taken: 0, lost: 0, refused: 0 };
  let down = false;
  let issued = 0;

  function take(call: FakeCall): FakeAnswer {
    for (const line of call.body.trimEnd().split('\n')) {
      const { index, record } = JSON.parse(line) as { index: number; record: unknown };
      arrived.push(index);
      records.set(index, digest(JSON.stringify(record)));
    }
    return { status: 204 };
  }
  /** Refuses while it is down; else now and then it takes a call and its answer is lost. */
  function instead(call: FakeCall): FakeAnswer | FakeFault | undefined {
    if (down) {
      met.refused++;
      return Math.random() < 0.5 ? { status: 503 } : 'reset';
    }
    met.taken++;
    if (met.taken % 3 !== 0) return undefined;
    met.lost++;
    take(call);
    return 'reset';
  }
  const sink = await startFake(take, { keeps: false });
  sink.instead = instead;
  const config = embeddedConfig(folder, issuer, {
    stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
    sinks: { siem: { kind: 'http', url: `${sink.url}/in`, batch: 50 } },
  });
  const env = { TEST_SECRET_stripe: 'correct-horse-not-a-real-secret' };
  const file = writeConfig(folder, config);

  /** Issues until told to stop. */
  function load({ url }: RunningServer): { stop(): Promise<unknown> } {
    let stopped = false;
    const began = performance.now();
    const client = async (nth: number) => {
      for (let asked = nth; !stopped; asked += clients) {
        const early = began + (asked * 1000) / perSecond - performance.now();
        if (early > 0) await pause(early);
        const headers = { authorization: `Bearer ${issuer.token()}` };
        const answer = await fetch(`${url}/v1/credentials/stripe-key`, { method: 'POST', headers }).catch(
          () => undefined,
        );
        await answer?.arrayBuffer().catch(() => {});
        if (answer?.status === 200) issued++;
        else await pause(5);
      }
    };
    const all = Promise.all(Array.from({ length: clients }, (_, nth) => client(nth)));
    return {
      stop() {
        stopped = true;
        return all;
      },
    };
  }

  /** Is down for a while, under load; gives how many records it is behind by then. */
  async function outage(): Promise<number> {
    const before = issued;
    down = true;
    await pause(downMs);
    expect(issued, 'issued while the sink was down').toBeGreaterThan(before);
    down = false;
    return issued - records.size;
  }

  /** Until the sink has as many records; gives how long that took, milliseconds. */
  async function until(count: number): Promise<number> {
    const began = performance.now();
    while (records.size < count) await pause(5);
    return performance.now() - began;
  }

  const said: string[] = [];
  try {
    for (let round = 0; round <= kills; round++) {
      const server = await startServer(file, 0, [], env);
      const issuing = load(server);
      const behind = await outage();
      if (round === 0) {
        // It catches up under the same load that goes on.
        const ms = await until(issued);
        said.push(`${behind} behind after ${seconds(downMs)}, there ${seconds(ms)} later`);
        await issuing.stop();
        await server.stop();
        continue;
      }
      // In the midst of catching up: it is in no pause any more.
      await until(records.size + 1);
      await pause(Math.random() * 1_500);
      await server.kill();
      await issuing.stop();
    }
    const behind = issued - records.size;
    const server = await startServer(file, 0, [], env);
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
    const { size } = await source.head();
    const entries = await source.entries(0, size);
    await close();
    const ms = await until(entries.length);
    said.push(`${behind} behind after the last kill, there ${seconds(ms)} later`);
    await server.stop();
    const firsts = [...new Set(arrived)].slice(0, entries.length);
    expect(firsts).toEqual(entries.map(({ index }) => index));
    expect(entries.filter(({ index, record }) => records.get(index) !== digest(record))).toEqual([]);
    expect(met.refused).toBeGreaterThan(0);
    console.info(
      `${entries.length} records in ${arrived.length} arrivals; ${met.refused} calls refused, ${met.lost} answers lost, ${kills} kills; ${said.join('; ')}`,
    );
  } finally {
    await sink.close();
  }
});
