import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { clockAt, scribe } from '../ledger/fixtures.ts';
import { type House, identity, openHouse, secretValue } from './house.ts';

let house: House;
beforeEach(async () => {
  house = await openHouse();
});
afterEach(() => house.close());

const refusalOf = async (work: Promise<unknown>): Promise<Refusal> => {
  try {
    await work;
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('nothing was refused');
};
const us = { name: 'https://pass.test', instance: 'test', version: '0' };
const types = async () =>
  (await house.records()).map(({ type }) => type).filter((type) => type !== 'policy' && type !== 'key');

describe('law 1: no record, no secret', () => {
  it('releases a stored secret with the receipt of its one record', async () => {
    const answer = await house.broker.issue(house.call('stripe-key'));
    expect(answer.data?.value).toBe(secretValue);
    expect(JSON.parse(answer.receipt.record)).toMatchObject({
      type: 'issuance',
      id: answer.id,
      credential: 'stripe-key',
      grant: 'checkout',
    });
    expect(await types()).toEqual(['issuance']);
  });

  for (const how of ['refused', 'lost-reply'] as const) {
    it(`releases nothing when the issuance record is ${how}`, async () => {
      house.fault = { type: 'issuance', how };
      const refusal = await refusalOf(house.broker.issue(house.call('stripe-key')));
      expect(refusal.code).toBe('ledger_unavailable');
      expect(JSON.stringify([refusal, refusal.message, refusal.options])).not.toContain(secretValue);
    });

    it(`undoes the account when its outcome record is ${how}, and asks the ledger nothing more`, async () => {
      house.fault = { type: 'issuance', how };
      expect((await refusalOf(house.broker.issue(house.call('orders-db')))).code).toBe('ledger_unavailable');
      expect(house.target.made).toHaveLength(1);
      expect([...house.target.alive]).toEqual([]);
      expect(house.appended.map(({ type }) => type)).toEqual(['intent']);
    });

    it(`makes nothing when the intent is ${how}`, async () => {
      house.fault = { type: 'intent', how };
      expect((await refusalOf(house.broker.issue(house.call('orders-db')))).code).toBe('ledger_unavailable');
      expect(house.target.made).toEqual([]);
    });
  }

  it('leaves time to end what was fetched where the fetching and the ledger took all they were given', async () => {
    house.target.fetching = ({ at }) => {
      house.clock.ms = at - 100;
    };
    house.lockdowns = (_, deadline) => {
      house.clock.ms = deadline.at;
      return new Refusal('ledger_unavailable', 'timeout');
    };
    const deadline = deadlineIn(5_000, () => house.clock.ms);
    const refusal = await refusalOf(house.broker.issue({ ...house.call('a-token'), deadline }));
    expect(refusal.code).toBe('ledger_unavailable');
    expect([...house.target.fetched]).toEqual([]);
  });

  it('settles what was left open once the ledger is back: failure where nothing landed, revocation where it had', async () => {
    for (const how of ['refused', 'lost-reply'] as const) {
      house.fault = { type: 'issuance', how };
      await refusalOf(house.broker.issue(house.call('orders-db')));
    }
    house.fault = undefined;
    await house.sweeper.run(deadlineIn(15_000, () => house.clock.ms));
    const ended = (await house.records()).flatMap(({ type, reason }) =>
      reason === undefined ? [] : `${type} ${reason}`,
    );
    expect(ended.slice(0, 2).sort()).toEqual(['failure abandoned', 'revocation abandoned']);
    expect(ended.slice(2)).toEqual(['revocation done', 'revocation done']);
    expect(
      await house.ledger.pending(
        'open',
        deadlineIn(2_000, () => house.clock.ms),
      ),
    ).toEqual([]);
  });
});

describe('recovery', () => {
  const recover = () => house.sweeper.run(deadlineIn(15_000, () => house.clock.ms));

  it('records the revocation of what was recorded but never handed over, where nothing is made either', async () => {
    house.fault = { type: 'issuance', how: 'lost-reply' };
    await refusalOf(house.broker.issue(house.call('stripe-key')));
    house.fault = undefined;
    await recover();
    expect(await types()).toEqual(['issuance', 'revocation']);
    await recover();
    expect(await types()).toEqual(['issuance', 'revocation']);
  });

  it('tries again what it could not record or end, and settles the others meanwhile', async () => {
    house.fault = { type: 'issuance', how: 'lost-reply' };
    await refusalOf(house.broker.issue(house.call('orders-db')));
    await refusalOf(house.broker.issue(house.call('orders-db')));
    house.fault = undefined;
    let refused = 0;
    house.lockdowns = () => (refused++ === 0 ? new Refusal('ledger_unavailable', 'down') : undefined);
    await recover();
    const reasons = async () => (await house.records()).flatMap(({ reason }) => reason ?? []);
    expect(await reasons()).toEqual(['abandoned', 'done']);
    house.clock.ms += 5_000;
    await recover();
    expect(await reasons()).toEqual(['abandoned', 'done', 'abandoned', 'done']);
  });

  it('ends nothing that a slow broker handed over after all', async () => {
    const intents = house.ledger.pending;
    let late: Promise<unknown> | undefined;
    house.pending = async (state, deadline) => {
      const open = await intents(state, deadline);
      // The outcome lands between the look and the failure.
      const id = JSON.parse(open[0]?.record ?? '{}').issuance;
      late ??= id === undefined ? undefined : landed(id);
      await late;
      return open;
    };
    const landed = (id: string) => {
      const { issuance } = scribe(clockAt(house.clock.ms), us);
      const record = issuance(id, { policy: undefined });
      house.target.alive.add(`hp_${id}`);
      return house.ledger.append(
        { entries: [record], epoch: 0 },
        deadlineIn(2_000, () => house.clock.ms),
      );
    };
    const { intent, id } = scribe(clockAt(house.clock.ms), us);
    const slow = intent(id(), { policy: undefined });
    await house.ledger.append(
      { entries: [slow], epoch: 0 },
      deadlineIn(2_000, () => house.clock.ms),
    );
    house.clock.ms += 80_000;
    await recover();
    await recover();
    expect(await types()).toEqual(['intent', 'issuance']);
    expect(house.target.alive.size).toBe(1);
  });
});

describe('law 2: intent first', () => {
  it('writes intent and issuance around what is made at a target, the account derived from the issuance id', async () => {
    const answer = await house.broker.issue(house.call('orders-db'));
    const [intent, issuance] = (await house.records()).filter(({ type }) => type === 'intent' || type === 'issuance');
    expect(intent).toMatchObject({ issuance: answer.id, lease: { account: `hp_${answer.id}` } });
    expect(issuance).toMatchObject({ id: answer.id, lease: { account: `hp_${answer.id}`, revocable: true } });
    expect(house.target.made).toEqual([`hp_${answer.id}`]);
  });

  for (const makeFails of ['before', 'after'] as const) {
    it(`records the failure and leaves nothing when the target fails ${makeFails} making`, async () => {
      house.target.makeFails = makeFails;
      const refusal = await refusalOf(house.broker.issue(house.call('orders-db')));
      expect(refusal.code).toBe(makeFails === 'before' ? 'store_failed' : 'store_timeout');
      expect([...house.target.alive]).toEqual([]);
      expect(await types()).toEqual(['intent', 'failure']);
    });
  }

  it('leaves the intent open when the account cannot be undone, and recovery ends it later', async () => {
    Object.assign(house.target, { makeFails: 'after', undoFails: true });
    await refusalOf(house.broker.issue(house.call('orders-db')));
    expect(await types()).toEqual(['intent']);
    expect(house.target.alive.size).toBe(1);
    house.target.undoFails = false;
    await house.sweeper.run(deadlineIn(15_000, () => house.clock.ms));
    expect([...house.target.alive]).toEqual([]);
    expect(await types()).toEqual(['intent', 'failure', 'revocation']);
  });

  it('answers 503 when the failure of a store cannot be recorded', async () => {
    house.target.makeFails = 'before';
    house.fault = { type: 'failure', how: 'refused' };
    expect((await refusalOf(house.broker.issue(house.call('orders-db')))).code).toBe('ledger_unavailable');
  });
});

describe('law 3: denials are records too', () => {
  it('records the first denial, counts its equals within the minute, and records them with their count after it', async () => {
    house.decide = () => ({ allow: false, reason: 'no_grant' });
    for (let call = 0; call < 4; call++)
      expect((await refusalOf(house.broker.issue(house.call('stripe-key')))).code).toBe('denied');
    expect((await house.records()).filter(({ type }) => type === 'denial').map(({ count }) => count)).toEqual([1]);
    house.clock.ms += 61_000;
    await refusalOf(house.broker.issue(house.call('stripe-key')));
    expect((await house.records()).filter(({ type }) => type === 'denial').map(({ count }) => count)).toEqual([1, 4]);
  });

  it('records a denial again when the clock has gone back, instead of counting until it has caught up', async () => {
    house.decide = () => ({ allow: false, reason: 'no_grant' });
    await refusalOf(house.broker.issue(house.call('stripe-key')));
    house.clock.ms -= 3_600_000;
    await refusalOf(house.broker.issue(house.call('stripe-key')));
    expect((await types()).filter((type) => type === 'denial')).toHaveLength(2);
  });

  it('records equal denials that come at once as one, and all of them wait for it', async () => {
    house.decide = () => ({ allow: false, reason: 'no_grant' });
    const refusals = await Promise.all(
      Array.from({ length: 20 }, () => refusalOf(house.broker.issue(house.call('stripe-key')))),
    );
    expect(refusals.map(({ code }) => code)).toEqual(Array.from({ length: 20 }, () => 'denied'));
    expect((await types()).filter((type) => type === 'denial')).toEqual(['denial']);
  });

  it('records the first denial of a name whether a credential has it or not, so that neither is quicker', async () => {
    house.decide = () => ({ allow: false, reason: 'no_grant' });
    for (const name of ['stripe-key', 'no-such-one', 'nor-this-one'])
      await refusalOf(house.broker.issue(house.call(name)));
    expect((await types()).filter((type) => type === 'denial')).toHaveLength(3);
  });

  it('answers 503 when a denial cannot be recorded, equal ones too until the ledger is back', async () => {
    house.decide = () => ({ allow: false, reason: 'no_grant' });
    expect((await refusalOf(house.broker.issue(house.call('stripe-key')))).code).toBe('denied');
    house.fault = { type: 'denial', how: 'refused' };
    expect((await refusalOf(house.broker.issue(house.call('orders-db')))).code).toBe('ledger_unavailable');
    expect((await refusalOf(house.broker.issue(house.call('stripe-key')))).code).toBe('ledger_unavailable');
  });

  it('answers 503 when the ledger takes no record of this broker at all', async () => {
    house.lockdowns = () => new Refusal('denied', 'denied_by_ledger');
    expect((await refusalOf(house.broker.issue(house.call('stripe-key')))).code).toBe('ledger_unavailable');
  });

  it('never puts the name of a credential that does not exist into a record', async () => {
    house.decide = () => ({ allow: false, reason: 'no_credential' });
    await refusalOf(house.broker.issue(house.call('whatever-a-caller-typed')));
    expect(JSON.stringify(await house.records())).not.toContain('whatever');
  });

  it('writes the summary of an attack that has ended', async () => {
    await refusalOf(house.broker.issue({ ...house.call('stripe-key'), token: 'bad' }));
    house.clock.ms += 61_000;
    await house.broker.summarise(deadlineIn(2_000, () => house.clock.ms));
    expect(await types()).toEqual(['summary']);
  });

  it('counts bad tokens and writes one summary an issuer and minute, however many there are', async () => {
    const bad = () => refusalOf(house.broker.issue({ ...house.call('stripe-key'), token: 'bad' }));
    for (let call = 0; call < 50; call++) await bad();
    expect(await types()).toEqual([]);
    house.clock.ms += 61_000;
    for (let call = 0; call < 50; call++) await bad();
    const records = await house.records();
    expect(records.filter(({ type }) => type === 'summary')).toMatchObject([
      { issuer: 'ci', counts: { signature: 51 } },
    ]);
  });
});

describe('law 5: decided under the newest epoch', () => {
  const stale = () => new Refusal('stale', 'stale', { members: { epoch: 1, lockdowns: [] } });

  it('decides again, once, when the ledger says the epoch is stale', async () => {
    let asked = 0;
    house.lockdowns = (request) => (request.epoch === 0 && ++asked > 0 ? stale() : undefined);
    house.decide = (lockdowns) => ({
      allow: true,
      grant: `g${lockdowns.length}`,
      terms: { ttl: 600, once: false, tokenLife: false, claims: [] },
    });
    // The real log under this fake still stands at epoch 0, so the second append is what it refuses.
    expect((await refusalOf(house.broker.issue(house.call('stripe-key')))).code).toBe('ledger_unavailable');
    expect(asked).toBe(1);
  });

  /** A lockdown in the real log; the broker has not heard of it. */
  const lockDown = async () => {
    const { lockdown } = scribe(clockAt(house.clock.ms), us);
    const now = () => house.clock.ms;
    await house.ledger.append(
      { entries: [lockdown('add', 'issuer', 1, { issuer: 'other' })], epoch: 0 },
      deadlineIn(2_000, now),
    );
  };

  it('denies what was decided before a lockdown that another request of the instance heard of meanwhile', async () => {
    const terms = { ttl: 600, once: false, tokenLife: false, claims: [] };
    house.decide = (lockdowns) =>
      lockdowns.length > 0 ? { allow: false, reason: 'lockdown' } : { allow: true, grant: 'checkout', terms };
    const afterDecision = async () => {
      await lockDown();
      expect((await refusalOf(house.broker.issue(house.call('orders-db')))).code).toBe('denied');
      return {};
    };
    const slow = { ...house.call('stripe-key'), options: afterDecision };
    expect((await refusalOf(house.broker.issue(slow))).code).toBe('denied');
    expect(await types()).not.toContain('issuance');
  });

  it('records what an auditor read also where the broker had not heard of the epoch, and never says stale', async () => {
    await lockDown();
    await house.broker.recordRead(house.call('stripe-key'), identity, { type: '*' }, 3);
    expect((await types()).at(-1)).toBe('read');
    house.lockdowns = () => stale();
    const refused = await refusalOf(house.broker.recordRead(house.call('stripe-key'), identity, { type: '*' }, 3));
    expect(refused.code).toBe('ledger_unavailable');
  });

  it('gives an auditor no answer who was locked out while the log was read', async () => {
    await lockDown();
    house.permit = (lockdowns) =>
      lockdowns.length > 0
        ? { allow: false, reason: 'lockdown' }
        : { allow: true, grant: 'auditors', terms: { once: false, tokenLife: false, claims: [] } };
    const refused = await refusalOf(house.broker.recordRead(house.call('stripe-key'), identity, { type: '*' }, 3));
    expect(refused.code).toBe('denied');
  });

  it('keeps the summary of bad tokens that the first append under a new epoch would lose', async () => {
    const bad = () => refusalOf(house.broker.issue({ ...house.call('stripe-key'), token: 'bad' }));
    await bad();
    house.clock.ms += 61_000;
    await lockDown();
    await bad();
    expect((await types()).at(-1)).toBe('summary');
  });

  it('denies a replay found only at the second try like any other, without telling the index', async () => {
    const terms = { ttl: 600, once: true, tokenLife: false, claims: [] };
    house.decide = () => ({ allow: true, grant: 'checkout', terms });
    await house.broker.issue(house.call('stripe-key'));
    let first = true;
    house.lockdowns = (request) => {
      if (!request.entries[0]?.record.includes('"type":"issuance"')) return undefined;
      if (!first) return new Refusal('replayed', 'replayed', { members: { index: 1 } });
      first = false;
      return stale();
    };
    const refused = await refusalOf(house.broker.issue(house.call('stripe-key')));
    expect([refused.code, refused.options.members]).toEqual(['replayed', undefined]);
    expect((await types()).at(-1)).toBe('denial');
  });

  it('undoes and denies when a lockdown came between intent and outcome', async () => {
    house.lockdowns = (request) => (request.entries[0]?.record.includes('"type":"issuance"') ? stale() : undefined);
    let decisions = 0;
    house.decide = () =>
      decisions++ === 0
        ? { allow: true, grant: 'checkout', terms: { ttl: 600, once: false, tokenLife: false, claims: [] } }
        : { allow: false, reason: 'lockdown' };
    expect((await refusalOf(house.broker.issue(house.call('orders-db')))).code).toBe('denied');
    expect([...house.target.alive]).toEqual([]);
    expect(await types()).toEqual(['intent', 'denial', 'failure']);
  });
});

describe('the invocation', () => {
  it('bounds the lease by its deadline and a grace, and gets nothing once it is over', async () => {
    const deadline = new Date(house.clock.ms + 30_000).toISOString();
    const call = { ...house.call('orders-db'), options: async () => ({ invocation: { deadline } }) };
    const answer = await house.broker.issue(call);
    expect(answer.lease.ttl).toBe(35);
    const over = { ...call, options: async () => ({ invocation: { deadline: '2020-01-01T00:00:00Z' } }) };
    expect((await refusalOf(house.broker.issue(over))).code).toBe('invalid_request');
  });
});

describe('revoking by the same identity', () => {
  const revoke = (id: string) => house.broker.revoke({ ...house.call('orders-db'), id });

  const reasons = async () =>
    (await house.records()).flatMap(({ type, reason }) => (type === 'revocation' ? reason : []));

  it('records it before and after the account ends, and does the same again without another record', async () => {
    const { id } = await house.broker.issue(house.call('orders-db'));
    expect(await revoke(id)).toBe('done');
    expect(await revoke(id)).toBe('done');
    expect([...house.target.alive]).toEqual([]);
    expect(await types()).toEqual(['intent', 'issuance', 'revocation', 'revocation']);
    expect(await reasons()).toEqual(['requested', 'done']);
  });

  it('says recorded, not done, while the target refuses', async () => {
    const { id } = await house.broker.issue(house.call('orders-db'));
    house.target.undoFails = true;
    expect(await revoke(id)).toBe('recorded');
    expect(await revoke(id)).toBe('recorded');
    expect(await reasons()).toEqual(['requested', 'unrevoked']);
    house.target.undoFails = false;
    expect(await revoke(id)).toBe('done');
    expect(await reasons()).toEqual(['requested', 'unrevoked', 'done']);
  });

  it('records the revocation of a stored secret, whose value lives on', async () => {
    const { id } = await house.broker.issue(house.call('stripe-key'));
    expect(await revoke(id)).toBe('done');
    expect(await types()).toEqual(['issuance', 'revocation']);
  });

  it('knows no lease of that id: 404 for an unknown one', async () => {
    expect((await refusalOf(revoke('01jd9m0000000000000000000a'))).code).toBe('not_found');
  });
});
