import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { measureBlastRadius } from '../../src/leases/blast-radius.ts';
import { type IssuedSearch, openIssuedSearch, type Place } from '../../src/leases/issued.ts';
import { revokeIssued } from '../../src/leases/revoke-issued.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { catchUp } from '../../src/ledger/questions/catch-up.ts';
import { askedOf } from '../../src/ledger/questions/questions.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { fits } from '../../src/policy/lockdown.ts';
import { newFolder, openIn, removeFolder } from '../ledger/drivers/sqlite-fixture.ts';
import { asking, clockAt, policyHash, scribe, soon } from '../ledger/fixtures.ts';
import { openShards } from '../ledger/sharded-fixture.ts';

const clock = clockAt(Date.now());
const now = () => clock.at;
const policy = {
  hash: policyHash,
  covers: (
    match: Parameters<typeof fits>[0],
    { issuer, name, grant, credential, store }: Record<string, string | undefined>,
  ) =>
    fits(match, {
      issuer,
      name,
      grant,
      roles: grant === 'checkout' ? ['checkout'] : undefined,
      credential,
      stores: store === undefined ? [] : [store],
    }),
};

let folder: string;
beforeEach(() => {
  folder = newFolder();
  clock.at = Date.now();
});
afterEach(() => removeFolder(folder));

async function fill(ledger: Ledger, many: number): Promise<void> {
  const write = scribe(clock);
  for (let n = 0; n < many; n += 100) {
    const entries = Array.from({ length: Math.min(100, many - n) }, (_, at) => {
      const odd = (n + at) % 2 === 1;
      const facts = odd ? { credential: 'stripe-key' } : {};
      return write.issuance(write.id(), facts, { name: odd ? 'shop:cart' : 'shop:checkout' });
    });
    await ledger.append(asking(...entries), soon());
  }
}

async function all(search: IssuedSearch, match: object): Promise<string[]> {
  const ids: string[] = [];
  let next: Place | undefined = { log: 0 };
  while (next !== undefined) {
    const page: Awaited<ReturnType<IssuedSearch['page']>> = await search.page(
      { match, since: clock.at - 60_000 },
      next,
      soon(),
    );
    ids.push(...page.found.map(({ record }) => record.id));
    next = page.next;
  }
  return ids;
}

const indexAll = async (ledger: Ledger) => {
  for (const log of askedOf(ledger)) await catchUp(log, soon());
};

describe('what a match was issued', () => {
  it('is found over many pages, each once, the newest first; the same with an index, a part of one, and a broken one', async () => {
    const ledger = await openIn(folder, { now });
    const search = openIssuedSearch({ ledger, policy, ledgerMs: 5_000 });
    await fill(ledger, 1_500);
    const listed = await all(search, { identity: 'shop:checkout' });
    expect(listed).toHaveLength(750);
    expect(new Set(listed).size).toBe(750);
    await indexAll(ledger);
    expect(await all(search, { identity: 'shop:checkout' })).toEqual(listed);
    expect(await all(search, { identity: 'shop:*' })).toHaveLength(1_500);
    expect(await all(search, { credential: 'stripe-key', grant: 'checkout' })).toHaveLength(750);
    await fill(ledger, 300);
    expect(await all(search, { identity: 'shop:checkout' })).toHaveLength(900);
    const { index } = ledger;
    if (index === undefined) throw new Error('no index');
    const broken = { ...ledger, index: { ...index, find: () => Promise.reject(new Error('broken')) } };
    const other = openIssuedSearch({ ledger: broken, policy, ledgerMs: 5_000 });
    expect(await all(other, { identity: 'shop:checkout' })).toHaveLength(900);
    await ledger.close();
  });

  it('counts who is erased as unknown, with an index too', async () => {
    const ledger = await openIn(folder, { now });
    await fill(ledger, 10);
    await indexAll(ledger);
    await ledger.append(asking(scribe(clock).write('erasure', { count: 1 }, null)), soon());
    const first = (await ledger.reader.list({ type: 'issuance', limit: 10 }, soon())).at(-1);
    await ledger.erase([first?.index as number], soon());
    const search = openIssuedSearch({ ledger, policy, ledgerMs: 5_000 });
    const of = { match: { identity: 'shop:checkout' }, since: clock.at - 60_000 };
    expect(await measureBlastRadius(search, of, clock.at, soon())).toMatchObject({ issued: 4, unknown: 1, alive: 4 });
    await ledger.close();
  });

  it('is found in every shard', async () => {
    const ledger = await openShards(folder, 3, { now });
    const write = scribe(clock);
    const ids = Array.from({ length: 30 }, () => write.id());
    for (const id of ids) await ledger.append(asking(write.issuance(id)), soon());
    const search = openIssuedSearch({ ledger, policy, ledgerMs: 5_000 });
    expect((await all(search, { issuer: 'shop' })).sort()).toEqual(ids.sort());
    const of = { match: {}, since: clock.at - 60_000 };
    expect(await measureBlastRadius(search, of, clock.at, soon())).toMatchObject({ issued: 30, alive: 30 });
    await ledger.close();
  });

  it('says so where there was no time for all of it', async () => {
    const ledger = await openIn(folder, { now });
    await fill(ledger, 1_200);
    const search = openIssuedSearch({ ledger, policy, ledgerMs: 5_000 });
    // A third is for the renewals.
    let left = 6_600;
    const deadline = { at: 0, left: () => (left -= 1_600), within: () => soon() };
    const of = { match: { grant: 'checkout' }, since: clock.at - 60_000 };
    const radius = await measureBlastRadius(search, of, clock.at + 700_000, deadline);
    expect(radius).toMatchObject({ complete: false, issued: 1_000, alive: 0 });
    expect(radius.from).toMatch(/Z$/);
    await ledger.close();
  });

  it('counts apart what was decided under another policy, where the roles and stores of then would decide', async () => {
    const ledger = await openIn(folder, { now });
    const write = scribe(clock);
    const former = `sha256:${'f'.repeat(43)}`;
    const issued = [{ policy: former }, { policy: policyHash }, { policy: former, store: 'hub' }].map((facts) =>
      write.issuance(write.id(), facts),
    );
    await ledger.append({ ...asking(...issued), policy: former }, soon());
    const search = openIssuedSearch({ ledger, policy, ledgerMs: 5_000 });
    const measured = (match: object) =>
      measureBlastRadius(search, { match, since: clock.at - 60_000 }, clock.at, soon());
    expect(await measured({ store: 'hub' })).toMatchObject({ issued: 1, unknown: 0, otherwise: 1 });
    expect(await measured({ role: 'deploys' })).toMatchObject({ issued: 0, unknown: 0, otherwise: 2 });
    for (const match of [{ grant: 'deploys' }, { issuer: 'shop' }, { credential: 'another' }])
      expect(await measured(match)).not.toHaveProperty('otherwise');
    await ledger.close();
  });

  it('is whole since no time where a shard was not looked at', async () => {
    const ledger = await openShards(folder, 2, { now });
    const write = scribe(clock);
    for (let n = 0; n < 30; n++) await ledger.append(asking(write.issuance(write.id())), soon());
    const search = openIssuedSearch({ ledger, policy, ledgerMs: 5_000 });
    let pages = 0;
    const counting: IssuedSearch = { ...search, page: (...asked) => search.page(...asked).finally(() => pages++) };
    // Time for the first shard, and no more.
    const deadline = { at: 0, left: () => (pages === 0 ? 10_000 : 0), within: () => soon() };
    const of = { match: {}, since: clock.at - 60_000 };
    const radius = await measureBlastRadius(counting, of, clock.at, deadline);
    expect(radius.complete).toBe(false);
    expect(radius.issued).toBeLessThan(30);
    expect(radius).not.toHaveProperty('from');
    await ledger.close();
  });

  it('counts who is erased as unknown where another shard has the record of it', async () => {
    const ledger = await openShards(folder, 2, { now });
    const [first, second] = ledger.shards as [Ledger, Ledger];
    await fill(first, 1_200);
    await indexAll(ledger);
    await second.append(asking(scribe(clock).write('erasure', { count: 1 }, null)), soon());
    // Not among the newest, which are looked through themselves.
    const oldest = (await first.reader?.entries(0, 3, soon()))?.find(({ record }) => record.includes('"issuance"'));
    await first.erase?.([oldest?.index as number], soon());
    const search = openIssuedSearch({ ledger, policy, ledgerMs: 5_000 });
    const of = { match: { identity: 'shop:checkout' }, since: clock.at - 60_000 };
    expect(await measureBlastRadius(search, of, clock.at, soon())).toMatchObject({ issued: 599, unknown: 1 });
    await ledger.close();
  });

  it('takes any lease for alive where there is no time to look at all renewals', async () => {
    const ledger = await openIn(folder, { now });
    const write = scribe(clock);
    const ids = Array.from({ length: 3 }, () => write.id());
    const lease = { expiresAt: new Date(clock.at + 3_600_000).toISOString(), ttl: 3600, revocable: true };
    for (const id of ids) {
      await ledger.append(asking(write.issuance(id)), soon());
      for (let n = 0; n < 400; n += 100) {
        const renewals = Array.from({ length: 100 }, () => write.write('renewal', { issuance: id, lease, epoch: 0 }));
        await ledger.append(asking(...renewals), soon());
      }
    }
    const search = openIssuedSearch({ ledger, policy, ledgerMs: 5_000 });
    let left = 20_000;
    const hurried = { at: 0, left: () => (left -= 9_000), within: () => soon() };
    expect(await search.renewed(clock.at - 60_000, hurried)).toBeUndefined();
    const of = { match: {}, since: clock.at - 60_000 };
    const told = { ...search, renewed: async () => undefined };
    expect(await measureBlastRadius(told, of, clock.at + 1_800_000, soon())).toMatchObject({ alive: 3 });
    await ledger.close();
  });

  it('tells what was ended although the ledger then failed', async () => {
    const ledger = await openIn(folder, { now });
    await fill(ledger, 1_200);
    const search = openIssuedSearch({ ledger, policy, ledgerMs: 5_000 });
    let asked = 0;
    const failing: IssuedSearch = {
      ...search,
      async stories(issued, deadline) {
        if (asked++ > 0) throw new Refusal('ledger_unavailable', 'timeout');
        return search.stories(issued.slice(0, 200), deadline);
      },
    };
    const call = { identity: {} as never, request: 'r', deadline: soon() };
    const of = { match: {}, since: clock.at - 60_000 };
    const revoker = { revoke: async () => 'done' as const };
    const { items, next } = await revokeIssued(failing, revoker, of, { log: 0 }, call, now);
    expect(items).toHaveLength(200);
    expect(next).toMatchObject({ log: 0 });
    await expect(revokeIssued(failing, revoker, of, { log: 0 }, call, now)).rejects.toMatchObject({
      code: 'ledger_unavailable',
    });
    await ledger.close();
  });

  it('counts a renewed lease as alive', async () => {
    const ledger = await openIn(folder, { now });
    const write = scribe(clock);
    const id = write.id();
    await ledger.append(asking(write.issuance(id)), soon());
    const lease = { expiresAt: new Date(clock.at + 3_600_000).toISOString(), ttl: 3600, revocable: true };
    await ledger.append(asking(write.write('renewal', { issuance: id, lease, epoch: 0 })), soon());
    const search = openIssuedSearch({ ledger, policy, ledgerMs: 5_000 });
    const of = { match: {}, since: clock.at - 60_000 };
    expect(await measureBlastRadius(search, of, clock.at + 1_800_000, soon())).toMatchObject({
      alive: 1,
      revocable: 1,
    });
    await ledger.close();
  });
});
