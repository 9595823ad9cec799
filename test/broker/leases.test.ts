import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogReader } from '../../src/ledger/ledger.ts';
import { parseRecord } from '../../src/ledger/records/record.ts';
import { deriveTables } from '../../src/ledger/verify/derive.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import type { Terms } from '../../src/policy/policy.ts';
import { type House, openHouse } from './house.ts';

let house: House;
beforeEach(async () => {
  house = await openHouse();
});
afterEach(() => house.close());

const refusalOf = async (work: Promise<unknown>): Promise<Refusal> => {
  const error = await work.then(() => new Error('nothing was refused')).catch((thrown) => thrown);
  if (!(error instanceof Refusal)) throw error;
  return error;
};

const base: Terms = { ttl: 60, maxTtl: 150, once: false, tokenLife: false, claims: [] };
const grants = (terms: Terms, grant = 'checkout') => {
  house.decide = () => ({ allow: true, grant, terms });
};
const about = (id: string) => ({
  id,
  request: 'req',
  deadline: deadlineIn(15_000, () => house.clock.ms),
});
const asHolder = (id: string) => ({ ...about(id), token: 'good' });
const renewal = (id: string, ttl?: number) => ({
  ...asHolder(id),
  options: async () => (ttl === undefined ? {} : { ttl }),
});
const issued = async () => {
  grants(base);
  return house.broker.issue({ ...house.call('orders-db'), options: async () => ({ ttl: 60 }) });
};
const ttlOf = (expiresAt: string) => Date.parse(expiresAt) - house.clock.ms;

describe('a lease is looked up', () => {
  it('by who got it and by its handle, on any instance', async () => {
    const { id, lease } = await issued();
    const view = {
      id,
      credential: 'orders-db',
      kind: 'postgres',
      lease: { expiresAt: lease.expiresAt, state: 'active' },
    };
    expect(await house.broker.showLease(asHolder(id))).toMatchObject(view);
    expect(await house.broker.showLease({ ...about(id), handle: lease.handle })).toMatchObject(view);
  });

  it('by nobody else: another identity hears what is said of a lease that never was', async () => {
    const { id } = await issued();
    house.permit = () => ({ allow: false, reason: 'no_grant' });
    const theirs = await refusalOf(house.broker.showLease({ ...about(id), token: 'other' }));
    const nobodys = await refusalOf(house.broker.showLease({ ...asHolder('7zzzzzzzzzzzzzzzzzzzzzzzzz') }));
    for (const refusal of [theirs, nobodys])
      expect(refusal).toMatchObject({ code: 'not_found', reason: 'lease_not_found' });
    expect((await house.records()).filter(({ type }) => type === 'denial')).toEqual([]);
  });

  it('by who may revoke', async () => {
    const { id } = await issued();
    house.permit = () => ({ allow: true, grant: 'operators', terms: base });
    expect((await house.broker.showLease({ ...about(id), token: 'other' })).id).toBe(id);
  });

  it.each([
    ['one of another lease', async () => (await issued()).lease.handle],
    ['a forged one', async () => `${(await issued()).lease.handle.slice(0, -4)}AAAA`],
    ['a cut one', async () => (await issued()).lease.handle.slice(0, 40)],
    ['no handle at all', async () => 'hpl_'],
  ])('not by %s, for which everybody hears the same', async (_, make) => {
    const { id } = await issued();
    const refusal = await refusalOf(house.broker.showLease({ ...about(id), handle: await make() }));
    expect(refusal).toMatchObject({ code: 'not_found', reason: 'handle' });
    expect(house.counted).toContain('hallpass_handles_refused_total');
  });

  it('by its handle alone, without its id', async () => {
    const { id, lease } = await issued();
    const { id: _, ...anywhere } = about(id);
    expect((await house.broker.showLease({ ...anywhere, handle: lease.handle })).id).toBe(id);
    expect((await refusalOf(house.broker.showLease({ ...anywhere, handle: 'hpl_' }))).code).toBe('not_found');
    expect((await refusalOf(house.broker.showLease({ ...anywhere, token: 'good' }))).code).toBe('not_found');
  });

  it('not by the handle of one that is over', async () => {
    const { id, lease } = await issued();
    await house.broker.revoke(asHolder(id));
    expect((await refusalOf(house.broker.showLease({ ...about(id), handle: lease.handle }))).code).toBe('not_found');
    expect((await house.broker.showLease(asHolder(id))).lease.state).toBe('revoked');
  });
});

describe('a lease is renewed', () => {
  it('for the one who got it, by a record first and then at the target', async () => {
    const { id } = await issued();
    house.clock.ms += 30_000;
    const renewed = await house.broker.renewLease(renewal(id));
    expect(ttlOf(renewed.lease.expiresAt)).toBeGreaterThan(59_000 - 1_000);
    expect(house.target.renewed.get(`hp_${id}`)).toBe(Date.parse(renewed.lease.expiresAt));
    const record = (await house.records()).find(({ type }) => type === 'renewal');
    expect(record).toMatchObject({ issuance: id, lease: { expiresAt: renewed.lease.expiresAt, account: `hp_${id}` } });
    expect(renewed.receipt.record).toContain('"type":"renewal"');
    expect((await house.broker.showLease(asHolder(id))).lease.expiresAt).toBe(renewed.lease.expiresAt);
  });

  it('never past the maximum of the grant, counted from when it was issued', async () => {
    const began = house.clock.ms;
    const { id, lease } = await issued();
    let end = lease.expiresAt;
    let refused: Refusal | undefined;
    for (let round = 0; round < 10 && refused === undefined; round++) {
      house.clock.ms = Date.parse(end) - 1_000;
      const renewed = await house.broker.renewLease(renewal(id)).catch((error) => error);
      if (renewed instanceof Refusal) refused = renewed;
      else end = renewed.lease.expiresAt;
      expect(Date.parse(end)).toBeLessThanOrEqual(began + 150_000);
    }
    expect(refused?.reason).toBe('at_maximum');
    expect(Date.parse(end)).toBeGreaterThan(began + 148_000);
  });

  it.each([
    ['in the second in which it was issued', undefined],
    ['for less than it has', 30],
  ])('%s: it keeps its end', async (_, ttl) => {
    const { id, lease } = await issued();
    const renewed = await house.broker.renewLease(renewal(id, ttl));
    expect(renewed.lease).toMatchObject({ expiresAt: lease.expiresAt, renewable: true });
    expect((await house.broker.showLease(asHolder(id))).lease).toMatchObject({
      state: 'active',
      expiresAt: lease.expiresAt,
    });
  });

  it('not for another identity, not by its handle, not for one that policy now denies', async () => {
    const { id } = await issued();
    expect((await refusalOf(house.broker.renewLease({ ...renewal(id), token: 'other' }))).code).toBe('not_found');
    house.decide = () => ({ allow: false, reason: 'no_grant' });
    expect((await refusalOf(house.broker.renewLease(renewal(id)))).code).toBe('denied');
    expect(house.target.renewed.size).toBe(0);
  });

  it('not without a record: nothing is prolonged while the ledger is down', async () => {
    const { id } = await issued();
    house.fault = { type: 'renewal', how: 'refused' };
    house.clock.ms += 30_000;
    expect((await refusalOf(house.broker.renewLease(renewal(id)))).code).toBe('ledger_unavailable');
    expect(house.target.renewed.size).toBe(0);
  });

  it('with a token that was not used before, where the grant takes each once', async () => {
    const { id } = await issued();
    grants({ ...base, once: true });
    house.identity = { token: 'C'.repeat(43) };
    house.clock.ms += 20_000;
    await house.broker.renewLease(renewal(id));
    house.clock.ms += 20_000;
    const again = house.broker.renewLease({ ...renewal(id), request: 'another' });
    expect((await refusalOf(again)).code).toBe('replayed');
    expect((await house.records()).filter(({ type }) => type === 'denial')).toMatchObject([{ reason: 'replayed' }]);
    const used = house.broker.issue({ ...house.call('orders-db'), request: 'a third' });
    expect((await refusalOf(used)).code).toBe('replayed');
    house.identity = { token: 'D'.repeat(43) };
    await house.broker.renewLease({ ...renewal(id), request: 'a fourth' });
    const log = house.ledger.reader as LogReader;
    const derived = deriveTables(new Set(['postgres']));
    const entries = await log.list(
      { limit: 1_000 },
      deadlineIn(2_000, () => house.clock.ms),
    );
    const findings = [...entries].reverse().flatMap(({ record, index }) => derived.take(parseRecord(record), index));
    expect(findings).toEqual([]);
  });

  it('not where its kind cannot', async () => {
    grants(base);
    const { id, lease } = await house.broker.issue(house.call('stripe-key'));
    expect(lease.renewable).toBe(false);
    expect((await refusalOf(house.broker.renewLease(renewal(id)))).reason).toBe('not_renewable');
  });

  it('not where another kind has the name of its credential now', async () => {
    const { id } = await issued();
    const was = house.credentials.get('orders-db');
    if (was !== undefined) house.credentials.set('orders-db', { ...was, kind: 'redis' });
    house.clock.ms += 30_000;
    expect((await refusalOf(house.broker.renewLease(renewal(id)))).reason).toBe('not_renewable');
    expect(house.target.renewed.size).toBe(0);
  });

  it('by two at once: until the later of their ends, when it is ended at its target', async () => {
    const { id } = await issued();
    house.clock.ms += 20_000;
    await Promise.all([house.broker.renewLease(renewal(id, 120)), house.broker.renewLease(renewal(id, 60))]);
    const renewals = (await house.records()).filter(({ type }) => type === 'renewal');
    const [first, last] = renewals.map(({ lease }) => Date.parse(lease?.expiresAt ?? '')) as [number, number];
    expect(first).toBeGreaterThan(last);
    const { lease } = await house.broker.showLease(asHolder(id));
    expect(Date.parse(lease.expiresAt)).toBe(first);
    const sweep = () => house.sweeper.run(deadlineIn(10_000, () => house.clock.ms));
    house.clock.ms = last + 1_000;
    await sweep();
    expect([...house.target.alive]).toEqual([`hp_${id}`]);
    house.clock.ms = first + 1_000;
    await sweep();
    expect([...house.target.alive]).toEqual([]);
    expect((await house.broker.showLease(asHolder(id))).lease).toMatchObject({ state: 'revoked', reason: 'expired' });
  });

  it.each([
    { late: 60, other: 120 },
    { late: 120, other: 60 },
  ])(
    'by two at once: until the later end at its target too, where the one for $late s comes there last',
    async ({ late, other }) => {
      const { id } = await issued();
      house.clock.ms += 20_000;
      let otherCame = false;
      house.target.onRenewal = async (end) => {
        otherCame ||= Math.abs(end - house.clock.ms - other * 1_000) <= 1_000;
        while (!otherCame) await new Promise((resolve) => setImmediate(resolve));
      };
      const renewed = await Promise.all([late, other].map((ttl) => house.broker.renewLease(renewal(id, ttl))));
      const ends = renewed.map(({ lease }) => Date.parse(lease.expiresAt));
      expect(house.target.renewed.get(`hp_${id}`)).toBe(Math.max(...ends));
      expect(Math.max(...ends)).toBeGreaterThan(Math.min(...ends));
    },
  );

  it('not once it was revoked', async () => {
    const { id } = await issued();
    await house.broker.revoke(asHolder(id));
    expect((await refusalOf(house.broker.renewLease(renewal(id)))).reason).toBe('lease_over');
  });
});

describe('around its end a lease', () => {
  const at = async (seconds: number) => {
    const answer = await issued();
    house.clock.ms = Date.parse(answer.lease.expiresAt) + seconds * 1_000;
    return answer;
  };

  it.each([
    [-1, 'active'],
    [0, 'expired'],
    [1, 'expired'],
  ] as const)('at its end %i s is %s', async (seconds, state) => {
    const { id } = await at(seconds);
    expect((await house.broker.showLease(asHolder(id))).lease.state).toBe(state);
  });

  it.each([
    [-1, 'shown'],
    [0, 'refused'],
    [1, 'refused'],
  ] as const)('at its end %i s is %s to its handle', async (seconds, outcome) => {
    const { id, lease } = await at(seconds);
    const shown = house.broker.showLease({ ...about(id), handle: lease.handle });
    expect(await shown.then(() => 'shown').catch(() => 'refused')).toBe(outcome);
  });

  it.each([
    [-1, 'renewed'],
    [0, 'lease_over'],
    [1, 'lease_over'],
  ] as const)('at its end %i s is asked to be renewed: %s', async (seconds, outcome) => {
    const { id } = await at(seconds);
    const asked = house.broker.renewLease(renewal(id)).then(() => 'renewed');
    expect(await asked.catch((error) => error.reason)).toBe(outcome);
  });

  it.each([-1, 0, 1])('at its end %i s can be revoked, and is gone at the target', async (seconds) => {
    const { id } = await at(seconds);
    expect(await house.broker.revoke(asHolder(id))).toBe('done');
    expect([...house.target.alive]).toEqual([]);
  });

  it('ends with the token that dies first where the grant says so', async () => {
    grants({ ...base, tokenLife: true });
    house.identity = { expiresAt: house.clock.ms + 45_500 };
    const { lease } = await house.broker.issue(house.call('orders-db'));
    expect(lease.ttl).toBeGreaterThanOrEqual(45);
    expect(lease.ttl).toBeLessThanOrEqual(46);
    expect(Date.parse(lease.expiresAt)).toBeLessThanOrEqual(house.clock.ms + 45_500);
  });
});

describe('a lease is revoked', () => {
  it('by its handle alone, without any token', async () => {
    const { id, lease } = await issued();
    expect(await house.broker.revoke({ ...about(id), handle: lease.handle })).toBe('done');
    expect([...house.target.alive]).toEqual([]);
    const reasons = (await house.records()).filter(({ type }) => type === 'revocation').map(({ reason }) => reason);
    expect(reasons[0]).toBe('requested');
  });

  it('by who may revoke, which is recorded as an order', async () => {
    const { id } = await issued();
    house.permit = () => ({ allow: true, grant: 'operators', terms: base });
    expect(await house.broker.revoke({ ...about(id), token: 'other' })).toBe('done');
    expect((await house.records()).find(({ type }) => type === 'revocation')?.reason).toBe('ordered');
  });

  it('again and again, with one record of the wish', async () => {
    const { id } = await issued();
    for (let time = 0; time < 3; time++) expect(await house.broker.revoke(asHolder(id))).toBe('done');
    const wishes = (await house.records()).filter(
      ({ type, reason }) => type === 'revocation' && reason === 'requested',
    );
    expect(wishes).toHaveLength(1);
  });

  it('later where the target is down: recorded, and said so', async () => {
    const { id } = await issued();
    house.target.undoFails = true;
    expect(await house.broker.revoke(asHolder(id))).toBe('recorded');
    expect((await house.broker.showLease(asHolder(id))).lease.state).toBe('unrevoked');
  });

  it('where the shard that has it is there, though another is away', async () => {
    const away = new Set<number>();
    const sharded = await openHouse({ shards: 3, away });
    const made = await Promise.all(Array.from({ length: 12 }, () => sharded.broker.issue(sharded.call('orders-db'))));
    away.add(2);
    for (const { id, receipt } of made) {
      const revoked = sharded.broker.revoke({ ...asHolder(id), deadline: sharded.call('x').deadline });
      if (receipt.log.endsWith('/2')) expect((await refusalOf(revoked)).code).toBe('ledger_unavailable');
      else expect(await revoked).toBe('done');
    }
    const left = made.filter(({ receipt }) => receipt.log.endsWith('/2')).map(({ id }) => `hp_${id}`);
    expect([...sharded.target.alive].sort()).toEqual(left.sort());
    await sharded.close();
  });
});
