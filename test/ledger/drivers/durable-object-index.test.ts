import { join } from 'node:path';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { durableObjectLedger } from '../../../src/ledger/drivers/durable-object.ts';
import { catchUp } from '../../../src/ledger/questions/catch-up.ts';
import { answerQuestion, askedOf } from '../../../src/ledger/questions/questions.ts';
import { queryIndexContract } from '../../contracts/query-index.ts';
import { asking, clockAt, random, scribe, soon, writer } from '../fixtures.ts';

let workerd: Miniflare;
let objects = 0;

beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'object-worker.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    target: 'es2024',
    external: ['node:*', 'cloudflare:*'],
  });
  workerd = new Miniflare({
    modules: true,
    script: outputFiles[0]?.text as string,
    compatibilityDate: '2026-04-01',
    compatibilityFlags: ['nodejs_compat'],
    durableObjects: { LEDGER: { className: 'Ledger', useSQLite: true } },
  });
  await workerd.ready;
});
afterAll(() => workerd.dispose());

/** The handler's side of an object of its own; `calls`: what it was asked. */
async function openObject(calls: string[] = []) {
  const name = `object-${objects++}`;
  const told = {
    now: Date.now(),
    allowed: true,
    given: { origin: 'pass.example.com/ledger', writer, seed: Array.from({ length: 32 }, () => 7) },
  };
  const headers = { 'x-object': name, 'x-test': JSON.stringify(told) };
  const get = () => ({
    fetch(url: string, init: RequestInit) {
      calls.push(new URL(url).pathname.slice(1));
      return workerd.dispatchFetch(url, { ...init, headers } as never) as unknown as Promise<Response>;
    },
  });
  const platform = {
    runtime: 'workerd' as const,
    now: Date.now,
    random,
    fetch: () => Promise.reject(new Error('no network')),
    log: () => {},
    env: {},
    bindings: { LEDGER: { idFromName: (of: string) => of, get } },
    instance: 'test',
  };
  const { open } = await durableObjectLedger.load();
  const deps = { platform, origin: told.given.origin, writer };
  return { ledger: await open({ kind: 'durable-object', binding: 'LEDGER' }, deps), clock: clockAt(told.now) };
}

queryIndexContract('a Durable Object, asked from outside', async () => {
  const { ledger } = await openObject();
  if (ledger.index === undefined) throw new Error('no index');
  return { index: ledger.index, end: async () => {} };
});

describe('a question to a Durable Object', () => {
  test('finds what was appended, and the log is read where it lies', async () => {
    const calls: string[] = [];
    const { ledger, clock } = await openObject(calls);
    const write = scribe(clock);
    for (const credential of ['orders-db', 'stripe', 'orders-db'])
      await ledger.append(asking(write.issuance(write.id(), { credential })), soon());
    await ledger.append(asking(write.denial()), soon());
    calls.length = 0;
    const filter = { credential: 'orders-db', name: 'shop:*' };
    const page = await answerQuestion(askedOf(ledger), { filter, limit: 10 }, soon());
    expect(page.entries.map(({ record }) => JSON.parse(record).credential)).toEqual(['orders-db', 'orders-db']);
    expect(page.indexed).toEqual({ 'pass.example.com/ledger': 5 });
    expect(calls).toEqual(['indexFollow', 'indexSeen', 'indexFind', 'at']);
  });

  test('shows nothing disclosed of what was erased, and finds it by nothing of that', async () => {
    const { ledger, clock } = await openObject();
    const write = scribe(clock);
    await ledger.append(asking(write.issuance(write.id())), soon());
    const [log] = askedOf(ledger);
    await catchUp(log as NonNullable<typeof log>, soon());
    const ask = (filter: object) => answerQuestion(askedOf(ledger), { filter, limit: 10 }, soon());
    const [{ index = -1 } = {}] = (await ask({ name: 'shop:checkout' })).entries;
    await ledger.erase?.([index], soon());
    expect((await ask({ name: 'shop:checkout' })).entries).toEqual([]);
    expect((await ask({ credential: 'orders-db' })).entries).toMatchObject([{ disclosure: null }]);
  });

  test('is answered from the runs of its index as well, and forgets what stands there', async () => {
    const { index } = (await openObject()).ledger;
    if (index === undefined) throw new Error('no index');
    const rows = Array.from({ length: 4_200 }, (_, at) => ({
      index: at,
      time: 1_700_000_000_000 + at * 1_000,
      type: at % 3 === 0 ? 'denial' : 'issuance',
      account: `hp_${at}`,
      name: `shop:pod-${at % 100}`,
      token: `token-${at}`,
    }));
    for (let from = 0; from < rows.length; from += 600)
      expect(await index.add(rows.slice(from, from + 600), from, from + 600, soon())).toBe(true);
    const find = (filter: object, limit = 3) => index.find(filter, 1e6, limit, soon());
    expect(await find({ account: 'hp_17' })).toEqual([17]);
    expect(await find({ name: 'shop:pod-7', type: 'denial' })).toEqual([4107, 3807, 3507]);
    await index.forget([3807, 4107], soon());
    expect(await find({ name: 'shop:pod-7', type: 'denial' })).toEqual([3507, 3207, 2907]);
    expect(await find({ token: 'token-3807' })).toEqual([]);
    expect(await find({ token: 'token-3507' })).toEqual([3507]);
    expect(await find({ name: 'shop:pod-7' }, 100)).toHaveLength(40);
  });
});
