import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSweeper, type Sweeper } from '../../src/leases/sweep.ts';
import { openUnsettled } from '../../src/leases/unsettled.ts';
import { httpLedger } from '../../src/ledger/drivers/http.ts';
import { openBook } from '../../src/ledger/erasure/book.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { parseRecord } from '../../src/ledger/records/record.ts';
import { brokerTypes } from '../../src/ledger/records/writer.ts';
import { createMetrics } from '../../src/lib/metrics.ts';
import { newFolder, openIn, removeFolder } from '../ledger/drivers/sqlite-fixture.ts';
import { wireServer } from '../ledger/drivers/wire-server.ts';
import { asking, clockAt, otherWriter, policyHash, random, scribe, soon, writer } from '../ledger/fixtures.ts';
import { onlyUndone } from './target.ts';

const clock = clockAt(Date.now());
const now = () => clock.at;
const rights = (name: string) => ({ name, types: brokerTypes, mint: [] });
let folder: string;
let central: Ledger;
let ended: string[];

beforeEach(async () => {
  folder = newFolder();
  clock.at = Date.now();
  ended = [];
  central = await openIn(folder, { now });
});
afterEach(async () => {
  await central.close();
  removeFolder(folder);
});

/** The sweeper of a broker at the edge, whose ledger is the central one. */
async function edge(by: typeof writer, now = () => clock.at): Promise<Sweeper> {
  const handle = wireServer(() => central, rights(by.name));
  const platform = {
    runtime: 'node' as const,
    now,
    random,
    fetch: (url: string, init: RequestInit) => handle(new Request(url, init)),
    log: () => {},
    env: {},
    instance: 'edge',
  };
  const { open } = await httpLedger.load();
  const config = { kind: 'http', url: 'https://central.example', key: await central.key(soon()) };
  const ledger = await open(config, { platform, origin: '', writer: by, assertion: async () => 'assertion' });
  const policy = { hash: policyHash, grants: 1, credentials: 1 };
  return openSweeper({
    book: openBook({ ledger, policy, writer: by, now, random }),
    ledger,
    policy,
    credentials: onlyUndone(async ({ issuance }) => void ended.push(issuance)),
    limits: { requestMs: 15_000, ledgerMs: 2_000, mintMs: 10_000 },
    writer: by.name,
    unsettled: openUnsettled(),
    metrics: createMetrics(),
    now,
    random,
    log: () => {},
  });
}

it('a broker at the edge of a central ledger sweeps what it made itself, in pages, and nothing of others', async () => {
  const made: Record<string, string[]> = {};
  for (const by of [writer, otherWriter]) {
    const write = scribe(clock, by);
    const append = (...entries: Parameters<typeof asking>) =>
      central.accept?.(asking(...entries), rights(by.name), soon());
    const ids = Array.from({ length: 120 }, () => write.id());
    const revoked = ids.slice(5, 10);
    await append(...ids.map((id) => write.intent(id)));
    await append(...ids.slice(5).map((id) => write.issuance(id)));
    await append(...revoked.map((id) => write.revocation(id)));
    made[by.name] = ids;
  }
  clock.at += 3_600_000;
  const sweeper = await edge(writer);
  expect(await sweeper.run(soon())).toMatchObject({ undone: 120, failed: [], unrevoked: 0 });
  expect(ended.sort()).toEqual([...(made[writer.name] ?? [])].sort());
  expect(await sweeper.run(soon())).toMatchObject({ undone: 0 });
  const others = await central.pending('unrevoked', soon(), { writer: otherWriter.name });
  expect(others).toHaveLength(5);
  const last = await central.issuance(made[writer.name]?.[0] as string, soon());
  expect(last.map(({ record }) => parseRecord(record)).map(({ type, reason }) => [type, reason])).toEqual([
    ['intent', undefined],
    ['failure', 'abandoned'],
    ['revocation', 'done'],
  ]);
});

it.each(['open', 'expired'])(
  'what the ledger refuses it for its clock is not told as ended by another: %s',
  async (state) => {
    const write = scribe(clock);
    const id = write.id();
    await central.accept?.(asking(write.intent(id)), rights(writer.name), soon());
    if (state === 'expired') await central.accept?.(asking(write.issuance(id)), rights(writer.name), soon());
    clock.at += 3_600_000;
    const sweeper = await edge(writer, () => clock.at + 60_000);
    for (let passes = 0; passes < 2; passes++)
      expect(await sweeper.run(soon(), { eager: true })).toMatchObject({
        undone: 0,
        failed: [{ id, reason: 'refused_by_ledger' }],
      });
    expect(await (await edge(writer)).run(soon())).toMatchObject({ undone: 1, failed: [] });
  },
);
