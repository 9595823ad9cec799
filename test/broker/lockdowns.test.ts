import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LockdownAsked } from '../../src/broker/lockdowns.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { asking, clockAt, scribe } from '../ledger/fixtures.ts';
import { type House, identity, openHouse } from './house.ts';

let house: House;
beforeEach(async () => {
  house = await openHouse();
  // As the policy does: the names of this house, and one grant for all.
  house.decide = (lockdowns) =>
    lockdowns.some(({ match }) => match.credential === undefined || match.credential === 'orders-db')
      ? { allow: false, reason: 'lockdown' }
      : { allow: true, grant: 'checkout', terms: { ttl: 600, once: false, tokenLife: false, claims: [] } };
});
afterEach(() => house.close());

const add = (asked: Partial<LockdownAsked> = {}) =>
  house.broker.addLockdown({
    ...house.call('x'),
    asked: async () => ({ match: { credential: 'orders-db' }, reason: 'a drill', ...asked }),
  });
const lift = (id: string, reason = 'over') =>
  house.broker.liftLockdown({ ...house.call('x'), id, asked: async () => ({ reason }) });
const revoke = (id: string, more: { since?: number; cursor?: string } = {}) =>
  house.broker.revokeLocked({ ...house.call('x'), id, asked: async () => more });
const list = (all = false) => house.broker.listLockdowns(house.call('x'), all);
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => Promise.reject(new Error('was not refused')),
    (error) => error as Refusal,
  );
const types = async () => (await house.records()).map(({ type }) => type);

describe('adding a lockdown', () => {
  it('records who, what and why, raises the epoch, and answers where it stands', async () => {
    const { lockdown, index, epoch, receipt } = await add();
    expect(lockdown).toMatchObject({
      state: 'in_force',
      match: { credential: 'orders-db' },
      reason: 'a drill',
      by: identity.name,
      epoch: 1,
      index,
    });
    expect(epoch).toBe(1);
    const record = JSON.parse(receipt?.record ?? '');
    expect(record).toMatchObject({ type: 'lockdown', op: 'add', target: 'credential', epoch: 1, reason: 'ordered' });
    expect(receipt?.record).not.toContain('drill');
    expect((await refusal(house.broker.issue(house.call('orders-db')))).code).toBe('denied');
    expect((await house.records()).filter(({ type }) => type === 'issuance')).toEqual([]);
  });

  it('decides again under the epoch that another raised meanwhile', async () => {
    const other = scribe(clockAt(house.clock.ms), { name: 'https://pass.test', instance: 'test', version: '0' });
    await house.ledger.append(
      asking(other.lockdown('add', 'issuer', 1, { issuer: 'other' })),
      house.call('x').deadline,
    );
    expect(await add()).toMatchObject({ epoch: 2 });
  });

  it('is denied to who was locked out meanwhile', async () => {
    house.permit = (lockdowns) =>
      lockdowns.length > 0
        ? { allow: false, reason: 'lockdown' }
        : { allow: true, grant: 'ops', terms: { once: false, tokenLife: false, claims: [] } };
    const other = scribe(clockAt(house.clock.ms), { name: 'https://pass.test', instance: 'test', version: '0' });
    const first = other.lockdown('add', 'issuer', 1, { issuer: 'ci' });
    await house.ledger.append(asking(first), house.call('x').deadline);
    expect((await refusal(lift(JSON.parse(first.record).id))).code).toBe('denied');
    expect((await house.records()).flatMap(({ op }) => op ?? [])).toEqual(['add']);
  });

  it('refuses names this config does not have, with what was meant, unless forced', async () => {
    const refused = await refusal(add({ match: { credential: 'order-db' } }));
    expect([refused.code, refused.options.hint]).toEqual([
      'invalid_request',
      'Did you mean orders-db? With `force`, in the command --force, it is done all the same.',
    ]);
    for (const match of [{ issuer: 'x' }, { identity: 'x:y' }, { grant: 'x' }, { role: 'x' }, { store: 'x' }])
      expect((await refusal(add({ match }))).reason).toBe('unknown_name');
    expect(await types()).toEqual([]);
    expect((await add({ match: { credential: 'order-db' }, force: true })).warnings).toContain(
      'This config has no credential of that name.',
    );
  });

  it('refuses what would stop its maker from lifting it, unless forced', async () => {
    house.permit = (lockdowns) =>
      lockdowns.length > 0
        ? { allow: false, reason: 'lockdown' }
        : { allow: true, grant: 'ops', terms: { once: false, tokenLife: false, claims: [] } };
    expect((await refusal(add({ match: { issuer: 'ci' } }))).reason).toBe('locks_out_its_maker');
    expect((await add({ match: { issuer: 'ci' }, force: true })).epoch).toBe(1);
  });

  it('is refused beside 200 that are in force, and not for any that are over by their time', async () => {
    const other = scribe(clockAt(house.clock.ms), { name: 'https://pass.test', instance: 'test', version: '0' });
    const until = new Date(house.clock.ms + 10_000).toISOString();
    const many = Array.from({ length: 200 }, (_, n) =>
      other.lockdown('add', 'credential', n + 1, { credential: 'stripe-key' }, { until }),
    );
    await house.ledger.append(asking(...many), house.call('x').deadline);
    expect((await refusal(add())).reason).toBe('too_many');
    house.clock.ms += 11_000;
    expect(await add()).toMatchObject({ epoch: 201 });
  });

  it('refuses an end that has passed, and takes one by time or by duration', async () => {
    expect((await refusal(add({ until: '2020-01-01T00:00:00Z' }))).reason).toBe('until_past');
    const { lockdown } = await add({ for: 7200 });
    expect(Date.parse(lockdown?.until ?? '') - house.clock.ms).toBeGreaterThan(7_198_000);
    house.clock.ms += 7_200_000;
    expect(await list()).toEqual([]);
    expect(await list(true)).toMatchObject([{ state: 'expired' }]);
  });

  it('refuses an end that no record can say, and looks back no further than time itself', async () => {
    const days = (many: number) => many * 86_400;
    for (const many of [3_000_000, 999_999_999])
      expect((await refusal(add({ for: days(many) }))).reason, `${many}`).toBe('for_too_long');
    expect(await types()).toEqual([]);
    await house.broker.issue(house.call('orders-db'));
    const looked = await add({ since: days(999_999_999), dryRun: true });
    expect(looked).toMatchObject({ dryRun: true, blastRadius: { issued: 1 } });
    expect(await add({ for: days(2_900_000) })).toMatchObject({ epoch: 1 });
  });

  it('in a dry run changes nothing, and leaves a record of the look', async () => {
    await house.broker.issue(house.call('orders-db'));
    const answer = await add({ dryRun: true });
    expect(answer).toMatchObject({ dryRun: true, blastRadius: { issued: 1, alive: 1, revocable: 1, complete: true } });
    expect(answer).not.toHaveProperty('lockdown');
    expect((await types()).slice(-1)).toEqual(['read']);
    await house.broker.issue(house.call('orders-db'));
  });

  it('says that it may hold where the ledger’s word was lost, and stands there once', async () => {
    house.fault = { type: 'lockdown', how: 'lost-reply' };
    const refused = await refusal(add());
    expect(refused.code).toBe('ledger_unavailable');
    expect(refused.options.hint).toContain('hallpass lockdown list');
    house.fault = undefined;
    expect(await list()).toHaveLength(1);
  });

  it('holds although what was issued cannot be counted', async () => {
    const { reader } = house.ledger;
    if (reader === undefined) throw new Error('no reader');
    const { list } = reader;
    Object.assign(reader, {
      list: (filter: Parameters<typeof list>[0], deadline: Parameters<typeof list>[1]) =>
        filter.type === 'lockdown' ? list(filter, deadline) : Promise.reject(new Error('down')),
    });
    const answer = await add({ revoke: true });
    expect(answer).toMatchObject({ epoch: 1, revoked: { items: [], next: '0' } });
    expect(answer.warnings?.[0]).toMatch(/^The lockdown holds/);
    Object.assign(reader, { list });
  });
});

describe('the blast radius', () => {
  it('counts by credential and by identity what was issued, is alive, and can be revoked', async () => {
    await house.broker.issue(house.call('orders-db'));
    const gone = await house.broker.issue(house.call('orders-db'));
    await house.broker.revoke({ ...house.call('x'), id: gone.id });
    await house.broker.issue(house.call('stripe-key'));
    await house.broker.issue({ ...house.call('stripe-key'), token: 'other' });
    const { blastRadius } = await add({ match: {}, dryRun: true });
    expect(blastRadius).toMatchObject({ issued: 4, alive: 3, revocable: 1, unknown: 0, identitiesTotal: 2 });
    expect(blastRadius?.livesUntil).toMatch(/Z$/);
    expect(blastRadius?.credentials).toMatchObject([
      { credential: 'stripe-key', kind: 'secret', issued: 2, alive: 2, revocable: 0 },
      { credential: 'orders-db', kind: 'postgres', issued: 2, alive: 1, revocable: 1 },
    ]);
    expect(blastRadius?.identities).toMatchObject([
      { issuer: 'ci', identity: 'ci:svc:checkout', issued: 3, alive: 2 },
      { issuer: 'ci', identity: 'ci:svc:other', issued: 1, alive: 1 },
    ]);
    const one = await add({ match: { identity: 'ci:*:other' }, dryRun: true });
    expect(one.blastRadius).toMatchObject({ issued: 1 });
  });

  it('says how much was decided under another config, by which the role or store may have been others', async () => {
    const other = scribe(clockAt(house.clock.ms), { name: 'https://pass.test', instance: 'test', version: '0' });
    const policy = `sha256:${'f'.repeat(43)}`;
    const issued = other.issuance(other.id(), { policy });
    await house.ledger.append({ ...asking(issued), policy }, house.call('x').deadline);
    const { blastRadius, warnings } = await add({ match: { store: 'here' }, dryRun: true });
    expect(blastRadius).toMatchObject({ issued: 0, otherwise: 1 });
    expect(warnings).toContainEqual(expect.stringMatching(/^1 issuances that do not match were decided under another/));
  });

  it('names what stays good when its leases are over', async () => {
    await house.broker.issue(house.call('orders-db'));
    expect(await add({ match: {}, dryRun: true })).not.toHaveProperty('warnings');
    await house.broker.issue(house.call('stripe-key'));
    house.clock.ms += 700_000;
    const over = await add({ match: {}, dryRun: true });
    expect(over.blastRadius).toMatchObject({ issued: 2, alive: 0 });
    expect(over.blastRadius?.credentials.filter(({ stored }) => stored)).toMatchObject([{ credential: 'stripe-key' }]);
    expect(over.warnings).toEqual([expect.stringMatching(/stays good, .* until it is rotated: stripe-key\.$/)]);
    await house.broker.issue(house.call('stripe-key'));
    const { revoked, warnings } = await add({ match: {}, revoke: true });
    expect(revoked?.items).toMatchObject([{ credential: 'stripe-key', outcome: 'lives_on', stored: true }]);
    expect(warnings).toEqual(over.warnings);
  });

  it('says what it cannot know: who it was, once that is erased', async () => {
    await house.broker.issue(house.call('stripe-key'));
    const at = (await house.records()).findIndex(({ type }) => type === 'issuance');
    await house.ledger.erase?.([at], house.call('x').deadline);
    const { blastRadius } = await add({ match: { identity: 'ci:svc:checkout' }, dryRun: true });
    expect(blastRadius).toMatchObject({ issued: 0, unknown: 1 });
    const all = await add({ match: { credential: 'stripe-key' }, dryRun: true });
    expect(all.blastRadius?.identities).toEqual([expect.not.objectContaining({ identity: expect.anything() })]);
  });

  it('leaves out what was issued before its time, and what lived and died', async () => {
    await house.broker.issue(house.call('orders-db'));
    house.clock.ms += 700_000;
    expect((await add({ since: 600, dryRun: true })).blastRadius).toMatchObject({ issued: 0 });
    expect((await add({ since: 900, dryRun: true })).blastRadius).toMatchObject({ issued: 1, alive: 0 });
  });
});

describe('revoking what a lockdown matches', () => {
  it('ends all that can be ended, and names what cannot', async () => {
    for (let n = 0; n < 20; n++) await house.broker.issue(house.call('orders-db'));
    await house.broker.issue(house.call('stripe-key'));
    const { revoked } = await add({ match: {}, revoke: true });
    expect(revoked).not.toHaveProperty('next');
    expect(revoked?.items.filter(({ outcome }) => outcome === 'done')).toHaveLength(20);
    expect(revoked?.items.filter(({ outcome }) => outcome === 'lives_on')).toMatchObject([
      { credential: 'stripe-key' },
    ]);
    expect([...house.target.alive]).toEqual([]);
  });

  it('says what is recorded and not yet done, and does it when run again', async () => {
    await house.broker.issue(house.call('orders-db'));
    house.target.undoFails = true;
    const { lockdown, revoked } = await add({ revoke: true });
    expect(revoked?.items).toMatchObject([{ outcome: 'recorded' }]);
    house.target.undoFails = false;
    expect(await revoke(lockdown?.id ?? '')).toMatchObject({ items: [{ outcome: 'done' }] });
    expect(await revoke(lockdown?.id ?? '')).toEqual({ items: [] });
    expect([...house.target.alive]).toEqual([]);
  });

  it('goes on where the time of a request ended, and misses none', async () => {
    for (let n = 0; n < 30; n++) await house.broker.issue(house.call('orders-db'));
    const { lockdown } = await add();
    // Each ending takes a second of the clock, so that a request has time for a part of them.
    house.target.undoFails = () => {
      house.clock.ms += 1_000;
      return false;
    };
    let cursor: string | undefined;
    let calls = 0;
    const ended = new Set<string>();
    do {
      const { items, next } = await revoke(lockdown?.id ?? '', cursor === undefined ? {} : { cursor });
      for (const { id, outcome } of items) {
        expect(outcome).toBe('done');
        expect(ended.has(id)).toBe(false);
        ended.add(id);
      }
      cursor = next;
    } while (cursor !== undefined && ++calls < 20);
    expect(ended.size).toBe(30);
    expect(calls).toBeGreaterThan(0);
    expect([...house.target.alive]).toEqual([]);
  });

  it('revokes nothing for a lockdown that is lifted or never was', async () => {
    await house.broker.issue(house.call('orders-db'));
    const { lockdown } = await add();
    await lift(lockdown?.id ?? '');
    expect((await refusal(revoke(lockdown?.id ?? ''))).reason).toBe('not_in_force');
    expect((await refusal(revoke('01jd9m00000000000000000000'))).code).toBe('not_found');
    for (const cursor of ['9.9.9', '1', '7.3'])
      expect((await refusal(revoke(lockdown?.id ?? '', { cursor }))).reason, cursor).toBe('cursor');
    expect(house.target.alive.size).toBe(1);
  });
});

describe('a permission', () => {
  it.each(['audit:read', 'ledger:append'] as const)(
    'is stopped by a lockdown that this instance has not heard of, within a second, though nothing is appended: %s',
    async (permission) => {
      house.permit = (lockdowns) =>
        lockdowns.length > 0
          ? { allow: false, reason: 'lockdown' }
          : { allow: true, grant: 'ops', terms: { once: false, tokenLife: false, claims: [] } };
      const permit = () => house.broker.permit(house.call('x'), permission, 'newest');
      await permit();
      const other = scribe(clockAt(house.clock.ms), { name: 'https://pass.test', instance: 'test', version: '0' });
      await house.ledger.append(asking(other.lockdown('add', 'issuer', 1, { issuer: 'ci' })), house.call('x').deadline);
      house.clock.ms += 1_000;
      expect((await refusal(permit())).code).toBe('denied');
      expect(house.broker.epoch).toBe(1);
    },
  );
});

describe('a permission whose doings no epoch stops', () => {
  const ops = { allow: true, grant: 'ops', terms: { once: false, tokenLife: false, claims: [] } } as const;
  beforeEach(() => {
    house.permit = (lockdowns) => (lockdowns.length > 0 ? { allow: false, reason: 'lockdown' } : ops);
  });
  /** Another instance locks it out; this one asks, and gets no answer in time. */
  const lockOutUnheard = async (epoch = 1) => {
    const other = scribe(clockAt(house.clock.ms), { name: 'https://pass.test', instance: 'test', version: '0' });
    const asked = { ...asking(other.lockdown('add', 'issuer', epoch, { issuer: 'ci' })), epoch: epoch - 1 };
    await house.ledger.append(asked, house.call('x').deadline);
    house.clock.ms += 1_000;
    house.lockdowns = ({ epoch }) =>
      epoch === Number.MAX_SAFE_INTEGER ? new Refusal('ledger_unavailable', 'timeout') : undefined;
  };

  it.each(['leases:revoke', 'secrets:rotate'] as const)(
    'is not given where the ledger does not say: %s',
    async (one) => {
      await house.broker.permit(house.call('x'), one);
      await lockOutUnheard();
      const unheard = { code: 'ledger_unavailable', reason: 'epoch_unheard' };
      for (let twice = 0; twice < 2; twice++)
        expect(await refusal(house.broker.permit(house.call('x'), one))).toMatchObject(unheard);
      // Nor does what was not answered a moment ago count as heard.
      house.lockdowns = () => undefined;
      expect((await refusal(house.broker.permit(house.call('x'), one))).code).toBe('denied');
    },
  );

  it('ends no lease of another identity’s where the ledger does not say', async () => {
    const { id } = await house.broker.issue(house.call('second-db'));
    const revoked = () => house.broker.revoke({ ...house.call('x'), token: 'other', id });
    await lockOutUnheard();
    expect(await refusal(revoked())).toMatchObject({ code: 'ledger_unavailable', reason: 'epoch_unheard' });
    house.lockdowns = () => undefined;
    expect((await refusal(revoked())).code).toBe('not_found');
    expect(house.target.alive.size).toBe(1);
  });

  it('revokes nothing of what a lockdown matches where the ledger does not say', async () => {
    await house.broker.issue(house.call('orders-db'));
    house.permit = () => ops;
    const { lockdown } = await add();
    house.permit = (lockdowns) => (lockdowns.length > 1 ? { allow: false, reason: 'lockdown' } : ops);
    await lockOutUnheard(2);
    expect((await refusal(revoke(lockdown?.id ?? ''))).reason).toBe('epoch_unheard');
    house.lockdowns = () => undefined;
    expect((await refusal(revoke(lockdown?.id ?? ''))).code).toBe('denied');
    expect(house.target.alive.size).toBe(1);
  });

  it('is given by a ledger that takes longer than others wait for it', async () => {
    house.clock.ms += 1_000;
    house.lockdowns = ({ epoch }, deadline) => {
      if (epoch !== Number.MAX_SAFE_INTEGER) return undefined;
      house.clock.ms += 1_200;
      return deadline.left() > 0 ? undefined : new Refusal('ledger_unavailable', 'timeout');
    };
    await house.broker.permit(house.call('x'), 'audit:read');
    expect(await house.broker.permit(house.call('x'), 'leases:revoke')).toMatchObject({ decision: { grant: 'ops' } });
  });
});

describe('lifting a lockdown', () => {
  it('lets issue again, says who and why, and is idempotent', async () => {
    const { lockdown } = await add();
    await refusal(house.broker.issue(house.call('orders-db')));
    const lifted = await lift(lockdown?.id ?? '', 'it was a drill');
    expect(lifted).toMatchObject({ epoch: 2, lockdown: { state: 'lifted', lifted: { reason: 'it was a drill' } } });
    // The broker learns at its next append, and decides again.
    expect((await lift(lockdown?.id ?? '')).receipt).toBeUndefined();
    expect(await list()).toEqual([]);
    expect(await list(true)).toMatchObject([{ state: 'lifted', lifted: { by: identity.name, index: lifted.index } }]);
    await house.broker.issue(house.call('orders-db'));
  });

  it('is heard of by a broker that is asked for nothing but what was locked down', async () => {
    const { lockdown } = await add({ match: {} });
    await refusal(house.broker.issue(house.call('orders-db')));
    await lift(lockdown?.id ?? '');
    house.clock.ms += 1_000;
    await house.broker.issue(house.call('orders-db'));
    expect((await house.records()).filter(({ type }) => type === 'summary')).toEqual([]);
  });

  it('costs a denied caller no more than one question a second', async () => {
    await add({ match: {} });
    let asked = 0;
    house.lockdowns = ({ epoch }) => {
      if (epoch === Number.MAX_SAFE_INTEGER) asked++;
      return undefined;
    };
    house.clock.ms += 1_000;
    for (let n = 0; n < 20; n++) await refusal(house.broker.issue(house.call('orders-db')));
    expect(asked).toBe(1);
    house.clock.ms += 1_000;
    await refusal(house.broker.issue(house.call('orders-db')));
    expect(asked).toBe(2);
  });

  it('knows none that never was', async () => {
    expect((await refusal(lift('01jd9m00000000000000000000'))).code).toBe('not_found');
  });
});

it('one in force is shown and lifted however many were added and lifted since', async () => {
  const { lockdown } = await add({ match: { credential: 'second-db' } });
  const other = scribe(clockAt(house.clock.ms), { name: 'https://pass.test', instance: 'test', version: '0' });
  const since = Array.from({ length: 500 }, (_, n) => {
    const added = other.lockdown('add', 'credential', 2 * n + 2, { credential: 'stripe-key' });
    return [other.lockdown('lift', JSON.parse(added.record).id, 2 * n + 3), added];
  }).flat();
  const { reader } = house.ledger;
  if (reader === undefined) throw new Error('no reader');
  const { list: listed } = reader;
  let pages = 0;
  Object.assign(reader, {
    // A log with as many pages of them as ever.
    list: async (filter: Parameters<typeof listed>[0], deadline: Parameters<typeof listed>[1]) => {
      if (filter.type !== 'lockdown') return listed(filter, deadline);
      if (filter.before === undefined) pages = 0;
      if (pages++ >= 10) return listed({ type: 'lockdown', limit: filter.limit }, deadline);
      return since.map((entry, at) => ({ ...entry, log: 'pass.test/ledger', index: 90_000 - at, leaf: 90_000 - at }));
    },
  });
  expect((await list()).map(({ id }) => id)).toEqual([lockdown?.id]);
  expect((await lift(lockdown?.id ?? '')).lockdown).toMatchObject({ id: lockdown?.id, state: 'lifted' });
});

it('is what explain goes by, though only another instance added it', async () => {
  const explained = async () => (await house.broker.explain(house.call('orders-db'))).decision;
  expect(await explained()).toBe('allow');
  const other = scribe(clockAt(house.clock.ms), { name: 'https://pass.test', instance: 'test', version: '0' });
  const added = other.lockdown('add', 'credential', 1, { credential: 'orders-db' });
  await house.ledger.append(asking(added), house.call('x').deadline);
  house.clock.ms += 1_000;
  expect(await explained()).toBe('deny');
});

it('names what this config does not have, where one in force stops nothing here', async () => {
  const known = await add({ match: { issuer: 'ci', credential: 'orders-db' } });
  const renamed = await add({ match: { issuer: 'former', identity: 'former:svc', role: 'checkout' }, force: true });
  const over = await add({ match: { issuer: 'former' }, force: true });
  await lift(over.lockdown?.id ?? '');
  const views = new Map((await list(true)).map((view) => [view.id, view]));
  expect(views.get(renamed.lockdown?.id ?? '')?.unknown).toEqual(['issuer', 'identity']);
  for (const { lockdown } of [known, over]) expect(views.get(lockdown?.id ?? '')).not.toHaveProperty('unknown');
});

describe('on a ledger of shards', () => {
  it('a lockdown is in each of them once it is answered, revokes in each, and is shown once', async () => {
    const sharded = await openHouse({ shards: 3 });
    sharded.decide = house.decide;
    for (let n = 0; n < 12; n++) await sharded.broker.issue(sharded.call('orders-db'));
    const call = { ...sharded.call('x'), asked: async () => ({ match: {}, reason: 'a drill', revoke: true }) };
    const { lockdown, blastRadius, revoked } = await sharded.broker.addLockdown(call);
    expect(blastRadius).toMatchObject({ issued: 12, alive: 12, complete: true });
    expect(revoked?.items.filter(({ outcome }) => outcome === 'done')).toHaveLength(12);
    expect([...sharded.target.alive]).toEqual([]);
    const heads = (sharded.ledger.shards ?? []).map((log) => log.reader?.head(call.deadline));
    expect((await Promise.all(heads)).map((head) => head?.epoch)).toEqual([1, 1, 1]);
    expect(await sharded.broker.listLockdowns(call, false)).toMatchObject([{ id: lockdown?.id }]);
    expect((await refusal(sharded.broker.issue(sharded.call('orders-db')))).code).toBe('denied');
    await sharded.close();
  });

  it('one that reached the first alone is in all of them once it is shown', async () => {
    const sharded = await openHouse({ shards: 3 });
    const { deadline } = sharded.call('x');
    const by = scribe(clockAt(sharded.clock.ms), { name: 'https://pass.test', instance: 'test', version: '0' });
    const [first] = sharded.ledger.shards ?? [];
    await first?.append(asking(by.lockdown('add', 'credential', 1, { credential: 'orders-db' })), deadline);
    const listed = await sharded.broker.listLockdowns(sharded.call('x'), false);
    const heads = (sharded.ledger.shards ?? []).map((log) => log.reader?.head(deadline));
    expect(listed).toMatchObject([{ state: 'in_force' }]);
    expect((await Promise.all(heads)).map((head) => head?.epoch)).toEqual([1, 1, 1]);
    await sharded.close();
  });

  it('one that cannot reach a shard stops what all others issue, and is not told as done', async () => {
    const away = new Set<number>();
    const sharded = await openHouse({ shards: 3, away });
    sharded.decide = house.decide;
    away.add(2);
    const call = { ...sharded.call('x'), asked: async () => ({ match: {}, reason: 'a drill' }) };
    expect(await refusal(sharded.broker.addLockdown(call))).toMatchObject({
      code: 'ledger_unavailable',
      options: { hint: expect.stringContaining('not known whether this landed') },
    });
    const codes = new Set<string>();
    for (let n = 0; n < 12; n++) codes.add((await refusal(sharded.broker.issue(sharded.call('orders-db')))).code);
    // One that would be placed in the shard that is away is refused there.
    expect(codes).toContain('denied');
    for (const code of codes) expect(['denied', 'ledger_unavailable']).toContain(code);
    expect([...sharded.target.alive]).toEqual([]);
    away.clear();
    expect(await sharded.broker.listLockdowns(sharded.call('x'), false)).toMatchObject([{ state: 'in_force' }]);
    await sharded.close();
  });
});
