import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logKeys } from '../../src/ledger/drivers/dynamodb/keys.ts';
import { dynamoQueryIndex } from '../../src/ledger/drivers/dynamodb/query-index.ts';
import { openDynamo, openTable } from '../../src/ledger/drivers/dynamodb/table.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { Refusal } from '../../src/lib/refusal.ts';
import { ledgerContract } from '../contracts/ledger.ts';
import { queryIndexContract } from '../contracts/query-index.ts';
import { configOf, depsOf, findings, initIn, newTable, openIn } from '../ledger/drivers/dynamodb-fixture.ts';
import { asking, digest, scribe, soon } from '../ledger/fixtures.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';

const write = scribe({
  get at() {
    return Date.now();
  },
  now: Date.now,
});
const request = () => asking(write.issuance(write.id(), { kind: 'secret' }));

/** 200 take four minutes on DynamoDB Local: each commit is one writer's, and the others have read in vain. */
const writers = Number(process.env.HALLPASS_LONE_WRITERS ?? 20);

/** As a caller that is told to come again: a machine that has much else to do is slow. */
async function insisting(ledger: Ledger): Promise<{ index: number; refusals: number }> {
  for (let refusals = 0; ; refusals++) {
    const outcome = await ledger.append(request(), soon()).catch((error: Refusal) => error);
    if (!(outcome instanceof Error)) return { index: outcome.receipts[0]?.index as number, refusals };
    expect(outcome.code).toBe('ledger_unavailable');
    // As `Retry-After` has it.
    await new Promise((resolve) => setTimeout(resolve, 1000 * (1 + Math.random())));
  }
}

/** Amazon's own, which knows no capacity and no conflict, and another that is written to behave as the service. */
for (const name of ['dynamodb', 'ministack'] as const) {
  const lacking = lacks(name);
  describe.skipIf(lacking !== undefined)(`the ledger in ${name} ${lacking ?? ''}`, () => {
    let server: RealServer;
    beforeAll(async () => {
      server = await startReal(name);
    }, 90_000);
    afterAll(() => server?.stop());

    const made = async () => {
      const table = newTable();
      await initIn(server.url, table);
      return table;
    };

    ledgerContract(`dynamodb (${name})`, async (given) => {
      const table = newTable();
      await initIn(server.url, table, given);
      let ledger = await openIn(server.url, table, given);
      return {
        ledger,
        async restart() {
          await ledger.close();
          ledger = await openIn(server.url, table, given);
          return ledger;
        },
        end: () => ledger.close(),
      };
    });

    queryIndexContract(`dynamodb (${name})`, async () => {
      const config = configOf(server.url, await made());
      const { platform } = depsOf();
      const table = openTable(openDynamo(config, platform), config.table, platform);
      return { index: dynamoQueryIndex(table, logKeys(undefined)), end: async () => {} };
    });

    // An emulator in one thread of Python is no place for load.
    const underLoad = it.runIf(name === 'dynamodb');
    underLoad(
      `takes ${writers} that each append once and know of no other, those refused when they ask again`,
      async () => {
        const table = await made();
        let requests = 0;
        const counted = (url: string, init: RequestInit) => {
          requests++;
          return fetch(url, init);
        };
        const ledgers = [];
        for (let at = 0; at < writers; at++) ledgers.push(await openIn(server.url, table, { fetch: counted }));
        requests = 0;
        const began = performance.now();
        const times: number[] = [];
        let refused = 0;
        const outcomes = await Promise.all(
          ledgers.map(async (ledger) => {
            const { index, refusals } = await insisting(ledger);
            refused += refusals;
            times.push(performance.now() - began);
            return index;
          }),
        );
        expect(new Set(outcomes).size).toBe(writers);
        const seconds = (performance.now() - began) / 1000;
        times.sort((one, other) => one - other);
        const p = (part: number) => Math.round(times[Math.floor(times.length * part)] as number);
        console.log(
          `${name}: ${writers} lone writers: ${(writers / seconds).toFixed(0)}/s, ${refused} times 503,`,
          `p50 ${p(0.5)} ms, p99 ${p(0.99)} ms, ${(requests / writers).toFixed(1)} requests each`,
        );
        expect(await findings(server.url, table)).toEqual([]);
      },
    );

    underLoad('gives each of two processes its own places under load, and a replay key to one', async () => {
      const table = await made();
      const ledgers = await Promise.all([openIn(server.url, table), openIn(server.url, table)]);
      const once = digest('r');
      const began = performance.now();
      const places = await Promise.all(
        Array.from({ length: 64 }, async (_, at) => {
          const mine: number[] = [];
          for (let many = 0; many < 20; many++) mine.push((await insisting(ledgers[at % 2] as Ledger)).index);
          return mine;
        }),
      );
      const seconds = (performance.now() - began) / 1000;
      console.log(`${name}: 2 processes, 64 callers: ${(1280 / seconds).toFixed(0)} appends/s`);
      expect(new Set(places.flat()).size).toBe(1280);
      const spends = await Promise.allSettled(
        Array.from({ length: 40 }, (_, at) => {
          const spending = asking(write.issuance(write.id(), { kind: 'secret', once }));
          return ledgers[at % 2]?.append({ ...spending, once }, soon());
        }),
      );
      expect(spends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await findings(server.url, table)).toEqual([]);
    });

    underLoad('tells how many appends one process makes', async () => {
      const table = await made();
      const ledger = await openIn(server.url, table);
      for (const callers of [1, 64, 256]) {
        const began = performance.now();
        const each = callers === 1 ? 100 : 10;
        await Promise.all(
          Array.from({ length: callers }, async () => {
            for (let many = 0; many < each; many++) await insisting(ledger);
          }),
        );
        const seconds = (performance.now() - began) / 1000;
        console.log(`${name}: one process, ${callers} callers: ${((callers * each) / seconds).toFixed(0)} appends/s`);
      }
      expect(await findings(server.url, table)).toEqual([]);
    });
  });
}
