// Writers that each append one record at a time and know of no other, as instances of a function do: all of them to one
// log. In DynamoDB where BENCH_DYNAMODB names one, otherwise through a Worker to its Durable Object. Prints one JSON line.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Refusal } from '../src/lib/refusal.ts';
import { findings, initIn, newTable, openIn } from '../test/ledger/drivers/dynamodb-fixture.ts';
import { asking, scribe, soon } from '../test/ledger/fixtures.ts';
import { startWorkerd } from '../test/runtimes/workerd-runner.ts';
import { freePort } from '../test/support/free-port.ts';
import { testIssuer } from '../test/support/issuer.ts';

const writers = Number(process.env.BENCH_WRITERS);
const rounds = Number(process.env.BENCH_ROUNDS);
const dynamoDb = process.env.BENCH_DYNAMODB;
const audience = 'https://pass.test';

/** What the writers write to. */
interface Store {
  /** Of one writer: false where it is told to come again. */
  append(writer: number): Promise<boolean>;
  /** Requests made so far. */
  readonly requests: number;
  /** Once all is written: throws where the log is not sound. */
  end(): Promise<void>;
}

async function openDynamoDb(url: string): Promise<Store> {
  const write = scribe({
    get at() {
      return Date.now();
    },
    now: Date.now,
  });
  let requests = 0;
  const counted = (to: string, init: RequestInit) => {
    requests++;
    return fetch(to, init);
  };
  const table = newTable();
  await initIn(url, table);
  const ledgers: Awaited<ReturnType<typeof openIn>>[] = [];
  for (let at = 0; at < writers; at++) ledgers.push(await openIn(url, table, { fetch: counted }));
  return {
    async append(writer) {
      const request = asking(write.issuance(write.id(), { kind: 'secret' }));
      const outcome = await ledgers[writer]?.append(request, soon()).catch((error: Refusal) => error);
      if (!(outcome instanceof Error)) return true;
      if (outcome.code !== 'ledger_unavailable') throw outcome;
      return false;
    },
    get requests() {
      return requests;
    },
    async end() {
      const [found] = await findings(url, table);
      if (found !== undefined) throw new Error(`the log is not clean: ${JSON.stringify(found)}`);
    },
  };
}

async function openObject(): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-bench-'));
  const issuer = testIssuer('https://ci.test', audience);
  const config = {
    broker: { url: audience, signer: { kind: 'local' } },
    ledger: { kind: 'durable-object', binding: 'LEDGER' },
    issuers: { ci: { issuer: issuer.url, audience, jwks: issuer.jwks } },
    credentials: { partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' } },
    roles: { all: ['partner'] },
    grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['all'], ttl: '5m' }],
  };
  const port = await freePort();
  const workerd = await startWorkerd({ config, variables: {}, folder, port });
  const tokens = Array.from({ length: writers }, () => issuer.token());
  let requests = 0;
  return {
    async append(writer) {
      requests++;
      const headers = { authorization: `Bearer ${tokens[writer]}` };
      const url = `http://127.0.0.1:${port}/v1/credentials/partner`;
      const answer = await fetch(url, { method: 'POST', headers }).catch(() => undefined);
      // All connect at once: what the listener had no place for comes again.
      if (answer === undefined) return false;
      const text = await answer.text();
      if (answer.status !== 200 && answer.status !== 503) throw new Error(`${answer.status}: ${text}`);
      return answer.status === 200;
    },
    get requests() {
      return requests;
    },
    async end() {
      await workerd.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A store that takes nothing is no store that is slow. */
const mostTries = 100;
const mostDoublings = 5;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const quantile = (sorted: readonly number[], at: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] as number;

/** All begin at once. Whoever is told to come again does, no sooner than `Retry-After: 1` has it, and each time later. */
async function round(store: Store) {
  let refused = 0;
  const before = { requests: store.requests, cpu: process.cpuUsage(), at: performance.now() };
  const took = await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      for (let tries = 1; !(await store.append(writer)); tries++) {
        if (tries === mostTries) throw new Error(`a writer was told ${tries} times to come again`);
        refused++;
        await pause(1_000 * (1 + 2 ** Math.min(tries, mostDoublings) * Math.random()));
      }
      return performance.now() - before.at;
    }),
  );
  took.sort((one, other) => one - other);
  const { user, system } = process.cpuUsage(before.cpu);
  return {
    'appends (1/s)': (writers * 1_000) / (performance.now() - before.at),
    'requests per append': (store.requests - before.requests) / writers,
    'told to come again, per append': refused / writers,
    'p50 (ms)': quantile(took, 0.5),
    'p99 (ms)': quantile(took, 0.99),
    'CPU of the writers per append (ms)': (user + system) / 1_000 / writers,
  };
}

const store = dynamoDb === undefined ? await openObject() : await openDynamoDb(dynamoDb);
const measured: Record<string, number[]> = {};
for (let many = 0; many < rounds; many++) {
  for (const [what, value] of Object.entries(await round(store))) measured[what] = [...(measured[what] ?? []), value];
  process.stderr.write(`round ${many + 1} of ${rounds}\n`);
}
await store.end();
console.log(JSON.stringify(measured));
process.exit(0);
