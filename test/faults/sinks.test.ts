import { afterAll, expect, it } from 'vitest';
import { inspectSqliteLedger } from '../../src/ledger/drivers/sqlite/inspect.ts';
import { type FakeAnswer, type FakeCall, type FakeFault, startFake } from '../fakes/server.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { type RunningServer, startServer, temporaryFolder, writeConfig } from '../support/server.ts';

const kills = Number(process.env.HALLPASS_KILLS ?? 3);
/** How long the sink is down in each round, milliseconds: HALLPASS_SINK_DOWN, such as 60000. */
const downMs = Number(process.env.HALLPASS_SINK_DOWN ?? 700);
const clients = 4;

const { folder, remove } = temporaryFolder();
afterAll(remove);

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

it(`brings every record to a sink at least once and in order, down for ${downMs} ms in each of ${kills} rounds that end in kill -9`, {
  timeout: 60_000 + kills * (20_000 + 4 * downMs),
}, async () => {
  const issuer = testIssuer('https://issuer.test', 'https://pass.test');
  /** Of each call that was taken, the indices in it, as they came. */
  const arrived: number[] = [];
  const records = new Map<number, string>();
  const met = { taken: 0, lost: 0, refused: 0 };
  let down = false;

  function take(call: FakeCall): FakeAnswer {
    for (const line of call.body.trimEnd().split('\n')) {
      const { index, record } = JSON.parse(line) as { index: number; record: unknown };
      arrived.push(index);
      records.set(index, JSON.stringify(record));
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
  const sink = await startFake(take);
  sink.instead = instead;
  const config = embeddedConfig(folder, issuer, {
    stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
    sinks: { siem: { kind: 'http', url: `${sink.url}/in`, batch: 50 } },
  });
  const env = { TEST_SECRET_stripe: 'correct-horse-not-a-real-secret' };
  const file = writeConfig(folder, config);

  /** Issues until told to stop; gives how many answers there were. */
  function load({ url }: RunningServer): { stop(): Promise<number> } {
    let stopped = false;
    const client = async () => {
      let answers = 0;
      while (!stopped) {
        const headers = { authorization: `Bearer ${issuer.token()}` };
        const answer = await fetch(`${url}/v1/credentials/stripe-key`, { method: 'POST', headers }).catch(
          () => undefined,
        );
        await answer?.arrayBuffer().catch(() => {});
        if (answer?.status === 200) answers++;
        else await pause(5);
      }
      return answers;
    };
    const all = Promise.all(Array.from({ length: clients }, client));
    return {
      async stop() {
        stopped = true;
        return (await all).reduce((sum, answers) => sum + answers, 0);
      },
    };
  }

  try {
    for (let round = 0; round < kills; round++) {
      const server = await startServer(file, 0, [], env);
      const issuing = load(server);
      down = true;
      await pause(downMs);
      down = false;
      await pause(300 + Math.random() * 1_500);
      await server.kill();
      expect(await issuing.stop(), 'issued while the sink was down').toBeGreaterThan(0);
    }
    const server = await startServer(file, 0, [], env);
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
    const { size } = await source.head();
    const entries = await source.entries(0, size);
    await close();
    while (records.size < entries.length) await pause(50);
    await server.stop();
    const firsts = [...new Set(arrived)].slice(0, entries.length);
    expect(firsts).toEqual(entries.map(({ index }) => index));
    expect(entries.filter(({ index, record }) => records.get(index) !== record)).toEqual([]);
    expect(met.refused).toBeGreaterThan(0);
    console.info(
      `${entries.length} records in ${arrived.length} arrivals; ${met.refused} calls refused, ${met.lost} answers lost, ${kills} kills`,
    );
  } finally {
    await sink.close();
  }
});
