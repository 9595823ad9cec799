import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SweeperDeps } from '../../src/leases/sweep.ts';
import { openUnsettled } from '../../src/leases/unsettled.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { type LedgerRecord, parseRecord } from '../../src/ledger/records/record.ts';
import { type Deadline, deadlineIn } from '../../src/lib/deadline.ts';
import { createMetrics } from '../../src/lib/metrics.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { newUlid } from '../../src/lib/ulid.ts';
import { type House, openHouse } from '../broker/house.ts';
import { clockAt, random, scribe } from '../ledger/fixtures.ts';
import { onlyUndone } from './target.ts';

const minute = 60_000;
const hour = 60 * minute;

let house: House;
beforeEach(async () => {
  house = await openHouse();
});
afterEach(() => house.close());

const soon = (): Deadline => deadlineIn(30_000, () => house.clock.ms);
const sweep = () => house.sweeper.run(soon());
const issue = async (credential = 'orders-db') => (await house.broker.issue(house.call(credential))).id;
const revoke = (id: string) => house.broker.revoke({ ...house.call('orders-db'), id });
/** While the target is down: it is owed then. */
const revokeInVain = async (...ids: readonly string[]) => {
  house.target.undoFails = true;
  for (const id of ids) await revoke(id);
  house.target.undoFails = false;
};
const about = async (id: string): Promise<LedgerRecord[]> =>
  (await house.ledger.issuance(id, soon())).map(({ record }) => parseRecord(record));
/** What became of an issuance after its records of making it. */
const endOf = async (id: string) =>
  (await about(id)).flatMap(({ type, reason }) => (reason === undefined ? [] : `${type} ${reason}`));

describe('a target that is down when a lease is revoked', () => {
  it('keeps the lease listed with its reason and tried for an hour, and it is gone within a minute of its return', async () => {
    const id = await issue();
    house.target.undoFails = true;
    expect(await revoke(id)).toBe('recorded');
    const began = house.clock.ms;
    let tries = 0;
    while (house.clock.ms < began + hour + 5 * minute) {
      house.clock.ms += 30_000;
      const before = house.target.undos;
      const { unrevoked } = await sweep();
      tries += house.target.undos - before;
      expect(unrevoked).toBe(1);
      const { items } = await house.sweeper.list(soon());
      expect(items).toMatchObject([
        { id, credential: 'orders-db', kind: 'postgres', account: `hp_${id}`, reason: 'requested' },
      ]);
      expect(items[0]?.failed).toMatchObject({ reason: 'refused', tries });
      expect(house.metrics.render()).toContain('hallpass_leases_unrevoked{credential="orders-db"} 1\n');
    }
    // At least once a minute.
    expect(tries).toBeGreaterThanOrEqual(60);
    // The first attempt told of it; then once an hour.
    expect(await endOf(id)).toEqual(['revocation requested', 'revocation unrevoked', 'revocation unrevoked']);

    house.target.undoFails = false;
    for (let passes = 0; passes < 2; passes++) {
      house.clock.ms += 30_000;
      await sweep();
    }
    expect([...house.target.alive]).toEqual([]);
    expect((await endOf(id)).slice(3)).toEqual(['revocation done']);
    expect(await house.sweeper.list(soon())).toEqual({ items: [], next: undefined });
    expect(house.metrics.render()).toContain('hallpass_leases_unrevoked{credential="orders-db"} 0\n');
    expect(await revoke(id)).toBe('done');
  });

  it('is told of again within the hour after the clock was set back by a day', async () => {
    const id = await issue();
    house.target.undoFails = true;
    await revoke(id);
    await sweep();
    house.clock.ms -= 24 * hour;
    await sweep();
    house.clock.ms += hour;
    await sweep();
    expect(await endOf(id)).toEqual(['revocation requested', 'revocation unrevoked', 'revocation unrevoked']);
  });

  it('is tried again by a process that knows nothing of it but the ledger', async () => {
    const id = await issue();
    await revokeInVain(id);
    expect(await house.otherSweeper().run(soon())).toMatchObject({ undone: 1, unrevoked: 0 });
    expect([...house.target.alive]).toEqual([]);
  });

  it('does not keep others waiting: a thousand that fail, and one of another credential that would not', async () => {
    const ids: string[] = [];
    for (let batch = 0; batch < 50; batch++)
      ids.push(...(await Promise.all(Array.from({ length: 20 }, () => issue()))));
    const failing = new Set(ids.map((id) => `hp_${id}`));
    house.target.undoFails = (account) => failing.has(account);
    house.clock.ms += hour;
    const report = await sweep();
    expect(report).toMatchObject({ undone: 0, unrevoked: 1_000 });
    const late = await issue('second-db');
    await issue();
    house.clock.ms += hour;
    expect(await sweep()).toMatchObject({ undone: 2, unrevoked: 1_000 });
    expect(await endOf(late)).toEqual(['revocation expired']);
  }, 60_000);

  it('is left to the next pass when it hangs, and the leases of others are ended', async () => {
    for (let n = 0; n < 40; n++) await issue();
    const others = await Promise.all(Array.from({ length: 5 }, () => issue('second-db')));
    const fine = new Set(others.map((id) => `hp_${id}`));
    house.target.undoFails = (account) => {
      if (fine.has(account)) return false;
      house.clock.ms += 5_000;
      return true;
    };
    house.clock.ms += hour;
    const { undone, failed } = await house.sweeper.run(deadlineIn(hour, () => house.clock.ms));
    expect(undone).toBe(5);
    expect(failed.length).toBeLessThan(12);
  });
});

describe('a ledger of shards of which one is away', () => {
  it('has what is due in the others ended, and the pass fails all the same', async () => {
    const away = new Set<number>();
    const sharded = await openHouse({ shards: 3, away });
    const made: string[] = [];
    const there = () => made.filter((log) => log.endsWith('/2')).length;
    while (there() === 0 || there() === made.length)
      made.push((await sharded.broker.issue(sharded.call('orders-db'))).receipt.log);
    sharded.clock.ms += hour;
    away.add(2);
    const pass = () => sharded.sweeper.run(deadlineIn(30_000, () => sharded.clock.ms));
    for (let passes = 0; passes < 2; passes++) await expect(pass()).rejects.toMatchObject({ reason: 'away' });
    expect(sharded.target.alive.size).toBe(there());
    away.clear();
    expect(await pass()).toMatchObject({ undone: there(), failed: [], unrevoked: 0 });
    expect([...sharded.target.alive]).toEqual([]);
    await sharded.close();
  });

  it('has what a process could not finish ended, where the others have it', async () => {
    const away = new Set<number>();
    const sharded = await openHouse({ shards: 3, away });
    const made = await Promise.all(Array.from({ length: 12 }, () => sharded.broker.issue(sharded.call('orders-db'))));
    const isAway = ({ receipt }: { readonly receipt: { readonly log: string } }) => receipt.log.endsWith('/2');
    const unsettled = openUnsettled();
    // One of a shard that nobody can ask is looked for first: nobody knows whether it landed.
    for (const id of [newUlid(sharded.clock.ms, random), ...made.map(({ id }) => id)]) unsettled.remember(id);
    away.add(2);
    const pass = sharded.otherSweeper({ unsettled }).run(deadlineIn(30_000, () => sharded.clock.ms));
    await expect(pass).rejects.toMatchObject({ reason: 'away' });
    expect([...sharded.target.alive].sort()).toEqual(
      made
        .filter(isAway)
        .map(({ id }) => `hp_${id}`)
        .sort(),
    );
    expect(unsettled.list()).toHaveLength(1 + made.filter(isAway).length);
    await sharded.close();
  });
});

it('what cannot be looked for keeps nothing else from being ended: it is looked for last by the next pass', async () => {
  const away = newUlid(house.clock.ms, random);
  const made = await issue();
  const unsettled = openUnsettled();
  for (const id of [away, made]) unsettled.remember(id);
  // A ledger that is asked over HTTP is one log from here, whatever shards it has.
  const ledger: Ledger = {
    ...house.ledger,
    issuance: async (id, deadline) => {
      if (id === away) throw new Refusal('ledger_unavailable', 'away');
      return house.ledger.issuance(id, deadline);
    },
  };
  const sweeper = house.otherSweeper({ ledger, unsettled });
  for (let passes = 0; passes < 2; passes++)
    await expect(sweeper.run(soon())).rejects.toMatchObject({ reason: 'away' });
  expect([...house.target.alive]).toEqual([]);
  expect(unsettled.list()).toEqual([away]);
});

describe('a lease past its time', () => {
  it('is ended at its target with one record', async () => {
    const id = await issue();
    house.clock.ms += 10 * minute - 1_000;
    expect(await sweep()).toMatchObject({ undone: 0 });
    expect(house.target.alive.size).toBe(1);
    house.clock.ms += 2_000;
    expect(await sweep()).toMatchObject({ undone: 1, failed: [], unrevoked: 0 });
    expect([...house.target.alive]).toEqual([]);
    expect(await endOf(id)).toEqual(['revocation expired']);
    expect(await sweep()).toMatchObject({ undone: 0 });
  });

  it('is listed as expired while its target is down', async () => {
    const id = await issue();
    house.clock.ms += hour;
    house.target.undoFails = true;
    expect(await sweep()).toMatchObject({
      undone: 0,
      failed: [{ id, credential: 'orders-db', reason: 'refused' }],
      unrevoked: 1,
    });
    expect((await house.sweeper.list(soon())).items).toMatchObject([{ id, reason: 'expired', failed: { tries: 1 } }]);
    house.target.undoFails = false;
    house.clock.ms += 30_000;
    await sweep();
    expect(await endOf(id)).toEqual(['revocation unrevoked', 'revocation done']);
  });

  it('of a stored secret leaves nothing to do', async () => {
    await issue('stripe-key');
    house.clock.ms += hour;
    expect(await sweep()).toMatchObject({ undone: 0, unrevoked: 0 });
  });
});

describe('sweeping', () => {
  it('is safe for many at once: everything is gone, and each lease has one record of it', async () => {
    const ids = await Promise.all(Array.from({ length: 60 }, () => issue()));
    await revokeInVain(...ids.slice(0, 30));
    house.clock.ms += hour;
    const sweepers = [house.sweeper, ...Array.from({ length: 4 }, () => house.otherSweeper())];
    await Promise.all([...sweepers, ...sweepers].map((sweeper) => sweeper.run(soon())));
    expect([...house.target.alive]).toEqual([]);
    for (const id of ids) {
      const ends = (await endOf(id)).filter((end) => end === 'revocation done' || end === 'revocation expired');
      expect(ends).toHaveLength(1);
    }
    expect(await house.otherSweeper().run(soon())).toMatchObject({ undone: 0, unrevoked: 0 });
  }, 60_000);

  it.each(['before', 'after'] as const)('goes on where one was killed %s ending at the target', async (when) => {
    const id = await issue();
    await revokeInVain(id);
    const killed = house.otherSweeper({
      credentials: onlyUndone(async ({ account = '' }) => {
        if (when === 'after') house.target.alive.delete(account);
        await new Promise(() => {});
      }),
    });
    void killed.run(soon());
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await house.otherSweeper().run(soon())).toMatchObject({ undone: 1, unrevoked: 0 });
    expect([...house.target.alive]).toEqual([]);
    expect((await endOf(id)).at(-1)).toBe('revocation done');
  });

  it('says credential_gone of what its config no longer has, and keeps it listed', async () => {
    const id = await issue();
    house.clock.ms += hour;
    const other = house.otherSweeper({ credentials: new Map() });
    expect(await other.run(soon())).toMatchObject({ failed: [{ id, reason: 'credential_gone' }], unrevoked: 1 });
    expect((await other.list(soon())).items).toMatchObject([{ id, failed: { reason: 'credential_gone' } }]);
  });

  it('says credential_gone of what another kind has the name of now: that one knows nothing of it', async () => {
    const id = await issue();
    house.clock.ms += hour;
    const undone: string[] = [];
    const renamed = onlyUndone(async ({ issuance }) => void undone.push(issuance), 'redis');
    const other = house.otherSweeper({ credentials: renamed });
    expect(await other.run(soon())).toMatchObject({ failed: [{ id, reason: 'credential_gone' }], unrevoked: 1 });
    expect(undone).toEqual([]);
    expect(await endOf(id)).toEqual(['revocation unrevoked']);
  });

  it('says credential_gone of an account that was shared, once its time is over and its config is not there', async () => {
    const book = scribe(clockAt(house.clock.ms), { name: 'https://pass.test', instance: 'test', version: '0' });
    const id = book.id();
    const lease = { expiresAt: new Date(house.clock.ms + minute).toISOString(), ttl: 60, revocable: false };
    const entries = [
      book.intent(id, { lease, kind: 'mysql' }),
      book.issuance(id, { lease: { ...lease, account: `hp_s_${'0'.repeat(26)}` }, kind: 'mysql' }),
    ];
    await house.ledger.append({ entries, epoch: 0, policy: `sha256:${'A'.repeat(43)}` }, soon());
    house.clock.ms += hour;
    const other = house.otherSweeper({ credentials: new Map() });
    expect(await other.run(soon())).toMatchObject({ failed: [{ id, reason: 'credential_gone' }], unrevoked: 1 });
    expect(await endOf(id)).toEqual(['revocation unrevoked']);
  });

  it('waits after a failure, unless it is told to be eager', async () => {
    await issue();
    house.clock.ms += hour;
    house.target.undoFails = true;
    await sweep();
    await sweep();
    expect(house.target.undos).toBe(1);
    await house.sweeper.run(soon(), { eager: true });
    expect(house.target.undos).toBe(2);
  });

  it('rejects while the ledger is down, and does all of it once it is back', async () => {
    const id = await issue();
    house.clock.ms += hour;
    house.fault = { type: 'revocation', how: 'refused' };
    expect(await sweep()).toMatchObject({ undone: 0, failed: [{ id, reason: 'down' }] });
    house.fault = undefined;
    house.clock.ms += 30_000;
    expect(await sweep()).toMatchObject({ undone: 1 });
    const failing = house.otherSweeper({
      ledger: { issuance: house.ledger.issuance, pending: () => Promise.reject(new Error('down')) },
    });
    await expect(failing.run(soon())).rejects.toThrow('down');
  });
});

describe('what a request had no answer for', () => {
  const writer = { name: 'https://pass.test', instance: 'test', version: '0' };

  it('is revoked also where it lands only after it was looked for, and was never an intent', async () => {
    const book = scribe(clockAt(house.clock.ms), writer);
    const id = book.id();
    const unsettled = openUnsettled();
    unsettled.remember(id);
    const sweeper = house.otherSweeper({ unsettled });
    await sweeper.run(soon());
    const lease = { expiresAt: new Date(house.clock.ms + minute).toISOString(), ttl: 60, revocable: false };
    const entries = [book.issuance(id, { credential: 'stripe-key', kind: 'secret', lease })];
    await house.ledger.append({ entries, epoch: 0, policy: `sha256:${'A'.repeat(43)}` }, soon());
    await sweeper.run(soon());
    expect(await endOf(id)).toEqual(['revocation abandoned']);
    expect(unsettled.list()).toEqual([]);
  });

  it('is forgotten once it can land no more', async () => {
    const unsettled = openUnsettled();
    unsettled.remember(newUlid(house.clock.ms, random));
    const sweeper = house.otherSweeper({ unsettled });
    await sweeper.run(soon());
    expect(unsettled.list()).toHaveLength(1);
    house.clock.ms += 2 * minute;
    await sweeper.run(soon());
    expect(unsettled.list()).toEqual([]);
  });
});

describe('a ledger that is slow to say what there is to do', () => {
  const timeout = () => new Refusal('ledger_unavailable', 'timeout');
  /** Each answer takes so long, milliseconds. */
  const slow = (issuanceMs: number, pendingMs: number): Pick<Ledger, 'issuance' | 'pending'> => {
    const wait = (ms: number, deadline: Deadline) => {
      house.clock.ms += ms;
      if (deadline.left() <= 0) throw timeout();
    };
    return {
      issuance: async (id, deadline, writer) => {
        const story = await house.ledger.issuance(id, deadlineIn(2_000, Date.now), writer);
        wait(issuanceMs, deadline);
        return story;
      },
      pending: async (state, deadline, filter) => {
        const page = await house.ledger.pending(state, deadlineIn(2_000, Date.now), filter);
        wait(pendingMs, deadline);
        return page;
      },
    };
  };
  const slowly = (issuanceMs: number, pendingMs: number, more: Partial<SweeperDeps> = {}) =>
    house.otherSweeper({ ledger: { ...house.ledger, ...slow(issuanceMs, pendingMs) }, ...more });

  it('has some of it done in each pass: more requests ended unknown than can be asked about in one', async () => {
    const expired = await issue();
    house.clock.ms += hour;
    house.fault = { type: 'intent', how: 'lost-reply' };
    for (let n = 0; n < 60; n++) await issue().catch(() => {});
    house.fault = undefined;
    const open = (await house.records()).flatMap(({ type, issuance = '' }) =>
      type === 'intent' && issuance !== expired ? [issuance] : [],
    );
    const unsettled = openUnsettled();
    for (const id of open) unsettled.remember(id);
    const sweeper = slowly(1_000, 10, { unsettled });
    expect((await sweeper.run(soon())).undone).toBeGreaterThan(5);
    expect(await endOf(expired)).toEqual(['revocation expired']);
    for (let pass = 0; pass < 12; pass++) await sweeper.run(soon());
    for (const id of open) expect(await endOf(id)).toEqual(['failure abandoned', 'revocation done']);
  });

  it('has some of it done in each pass: more leases are over than can be listed in one', async () => {
    for (let batch = 0; batch < 20; batch++) await Promise.all(Array.from({ length: 20 }, () => issue()));
    house.clock.ms += hour;
    const sweeper = slowly(0, 1_500);
    const left: number[] = [];
    for (let pass = 0; pass < 8; pass++) {
      await sweeper.run(deadlineIn(9_000, () => house.clock.ms));
      left.push(house.target.alive.size);
    }
    expect(left[0]).toBeLessThan(400);
    expect(left.at(-1)).toBe(0);
  });

  it('has what is owed counted from its beginning, wherever looking for it had ended', async () => {
    for (let batch = 0; batch < 15; batch++) await Promise.all(Array.from({ length: 30 }, () => issue()));
    house.target.undoFails = true;
    house.clock.ms += hour;
    const metrics = createMetrics();
    const sweeper = slowly(0, 1_000, { metrics });
    for (let pass = 0; pass < 2; pass++)
      expect((await sweeper.run(deadlineIn(13_000, () => house.clock.ms))).unrevoked).toBe(450);
    const gauge = 'hallpass_leases_unrevoked{credential="orders-db"} 450';
    expect(metrics.render()).toContain(gauge);
    await sweeper.run(deadlineIn(9_000, () => house.clock.ms)).catch(() => {});
    expect(metrics.render()).toContain(gauge);
  });

  it('is told what was owed by a pass whose time a target used up', async () => {
    const id = await issue();
    house.clock.ms += hour;
    const hangs = onlyUndone(async (_, deadline) => {
      house.clock.ms = deadline.at;
      throw new Refusal('store_timeout', 'slow');
    });
    const sweeper = house.otherSweeper({ credentials: hangs });
    const report = await sweeper.run(deadlineIn(8_000, () => house.clock.ms));
    expect(report).toMatchObject({ failed: [{ id, reason: 'slow' }], unrevoked: 1 });
    expect(await endOf(id)).toEqual(['revocation unrevoked']);
  });
});

describe('another broker of the same ledger', () => {
  const others = 'https://other.test';
  const sweeperOf = (more: object) => house.otherSweeper({ writer: others, ...more });

  it('ends what was made under its very policy, and nothing else', async () => {
    const id = await issue();
    house.clock.ms += hour;
    expect(await sweeperOf({ policy: { hash: `sha256:${'B'.repeat(43)}` } }).run(soon())).toMatchObject({ undone: 0 });
    expect(house.target.undos).toBe(0);
    expect(await sweeperOf({}).run(soon())).toMatchObject({ undone: 1 });
    expect(await endOf(id)).toEqual(['revocation expired']);
  });
});

describe('orphans', () => {
  const oldUlid = () => newUlid(house.clock.ms - hour, random);
  const find = (orphans: boolean) => house.sweeper.run(soon(), { orphans });
  /** Of both credentials, as they share one target here. */
  const found = (report: { orphans: readonly { issuance: string; state: string; removed: boolean }[] }) =>
    report.orphans.map(({ issuance, state, removed }) => [issuance, state, removed]);

  it('are accounts of ours in no ledger or whose issuance is over: named, and removed only when told', async () => {
    const [stray, leftover] = [oldUlid(), await issue()];
    await revoke(leftover);
    for (const id of [stray, leftover]) house.target.alive.add(`hp_${id}`);
    const held = await issue();
    house.clock.ms += 5 * minute;
    expect((await sweep()).orphans).toEqual([]);
    const named = found(await find(false));
    expect(named).toContainEqual([stray, 'unknown', false]);
    expect(named).toContainEqual([leftover, 'over', false]);
    expect(house.target.alive.size).toBe(3);
    const removed = found(await find(true));
    expect(removed).toContainEqual([stray, 'unknown', true]);
    expect(removed).toContainEqual([leftover, 'over', true]);
    expect([...house.target.alive]).toEqual([`hp_${held}`]);
    expect(await endOf(stray)).toContain('failure orphan');
    expect((await endOf(leftover)).slice(0, 3)).toEqual([
      'revocation requested',
      'revocation done',
      'revocation orphan',
    ]);
    expect(found(await find(true))).toEqual([]);
  });

  it('are never younger than the longest request, whose record may be on its way', async () => {
    const young = newUlid(house.clock.ms, random);
    house.target.alive.add(`hp_${young}`);
    expect(found(await find(true))).toEqual([]);
    house.clock.ms += 2 * minute;
    expect(found(await find(true))).toContainEqual([young, 'unknown', true]);
  });

  it('that no record names are kept where the ledger is elsewhere: they may be another broker’s', async () => {
    const stray = oldUlid();
    house.target.alive.add(`hp_${stray}`);
    const { issuance, pending } = house.ledger;
    const remote = house.otherSweeper({ ledger: { issuance, pending, elsewhere: 'https://ledger.test' } });
    expect(found(await remote.run(soon(), { orphans: true }))).toContainEqual([stray, 'unknown', false]);
    expect([...house.target.alive]).toEqual([`hp_${stray}`]);
  });
});
