import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BatchCall, IssueOptions } from '../../src/broker.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { type House, openHouse, secretValue } from './house.ts';

let house: House;
beforeEach(async () => {
  house = await openHouse();
});
afterEach(() => house.close());

const batch = (names: readonly string[], options: IssueOptions = {}): BatchCall => ({
  token: 'good',
  request: 'req',
  deadline: deadlineIn(15_000, () => house.clock.ms),
  asked: async () => ({ names, options }),
});
const types = async () =>
  (await house.records()).map(({ type }) => type).filter((type) => type !== 'policy' && type !== 'key');
const refusalOf = async (work: Promise<unknown>): Promise<Refusal> => {
  const error = await work.then(() => new Error('nothing was refused')).catch((thrown) => thrown);
  if (!(error instanceof Refusal)) throw error;
  return error;
};

describe('several credentials at once', () => {
  it('are handed over together, in the order asked for, each with its own record', async () => {
    const answers = await house.broker.issueAll(batch(['orders-db', 'stripe-key', 'second-db'], { ttl: 120 }));
    expect(answers.map(({ credential }) => credential)).toEqual(['orders-db', 'stripe-key', 'second-db']);
    expect(new Set(answers.map(({ id }) => id)).size).toBe(3);
    for (const { id, receipt, lease } of answers) {
      expect(JSON.parse(receipt.record)).toMatchObject({ type: 'issuance', id });
      expect(lease.ttl).toBe(120);
    }
    expect(answers[1]?.data?.value).toBe(secretValue);
    expect(house.target.alive.size).toBe(2);
    expect(await types()).toEqual(['intent', 'intent', 'issuance', 'issuance', 'issuance']);
  });

  it('need no intent where nothing is changed outside', async () => {
    await house.broker.issueAll(batch(['stripe-key']));
    expect(await types()).toEqual(['issuance']);
  });

  it('are all undone where one cannot be made, and nothing of it is told as issued', async () => {
    house.target.makeFails = 'after';
    expect((await refusalOf(house.broker.issueAll(batch(['orders-db', 'stripe-key', 'second-db'])))).code).toBe(
      'store_timeout',
    );
    expect([...house.target.alive]).toEqual([]);
    expect((await types()).filter((type) => type === 'failure')).toHaveLength(2);
    expect(await types()).not.toContain('issuance');
  });

  it('are all undone where the ledger takes none of them', async () => {
    house.fault = { type: 'issuance', how: 'refused' };
    expect((await refusalOf(house.broker.issueAll(batch(['orders-db', 'second-db'])))).code).toBe('ledger_unavailable');
    expect(house.target.made).toHaveLength(2);
    expect([...house.target.alive]).toEqual([]);
  });

  it('end what was only fetched as well, where another cannot be read', async () => {
    house.target.readFails = new Refusal('store_failed', 'refused');
    expect((await refusalOf(house.broker.issueAll(batch(['a-token', 'stripe-key'])))).code).toBe('store_failed');
    expect([...house.target.fetched]).toEqual([]);
    expect(await types()).toEqual(['failure']);
  });

  it('ask a ledger that failed nothing more', async () => {
    house.target.readFails = new Refusal('ledger_unavailable', 'down');
    const asked = batch(['orders-db', 'stripe-key']);
    expect((await refusalOf(house.broker.issueAll(asked))).code).toBe('ledger_unavailable');
    expect([...house.target.alive]).toEqual([]);
    expect(await types()).toEqual(['intent']);
    await house.sweeper.run(deadlineIn(15_000, () => house.clock.ms));
    expect((await types()).filter((type) => type === 'failure')).toHaveLength(1);
  });

  it('spend a token that is good for once together, and it is spent then', async () => {
    house.decide = () => ({ allow: true, grant: 'g', terms: { ttl: 60, once: true, tokenLife: false, claims: [] } });
    expect(await house.broker.issueAll(batch(['orders-db', 'stripe-key']))).toHaveLength(2);
    expect((await refusalOf(house.broker.issueAll({ ...batch(['stripe-key']), request: 'other' }))).code).toBe(
      'replayed',
    );
    expect(house.target.alive.size).toBe(1);
  });

  it('leave no debt of what no target knows of, whether its token was spent by an intent or not', async () => {
    for (const once of [false, true]) {
      house.decide = () => ({ allow: true, grant: 'g', terms: { ttl: 60, once, tokenLife: false, claims: [] } });
      const asked = { ...batch(['orders-db', 'stripe-key']), request: `r-${once}` };
      for (const { lease, id } of await house.broker.issueAll(asked))
        expect(await house.broker.revoke({ ...asked, id, handle: lease.handle })).toBe('done');
      const deadline = deadlineIn(15_000, () => house.clock.ms);
      expect(await house.sweeper.run(deadline), `once: ${once}`).toMatchObject({ unrevoked: 0, failed: [] });
      expect((await house.sweeper.list(deadline)).items).toEqual([]);
      house.clock.ms += 120_000;
      await house.sweeper.run(deadlineIn(15_000, () => house.clock.ms));
      const before = (await types()).length;
      await house.sweeper.run(deadlineIn(15_000, () => house.clock.ms));
      expect((await types()).length, 'nothing is swept twice').toBe(before);
    }
  });

  it('are refused before anything is made where their grants count differently', async () => {
    let asked = 0;
    const terms = { ttl: 60, once: false, tokenLife: false, claims: [] };
    house.decide = () => ({ allow: true, grant: 'g', terms: asked++ === 0 ? { ...terms, max: 3 } : terms });
    const refusal = await refusalOf(house.broker.issueAll(batch(['orders-db', 'stripe-key'])));
    expect(refusal).toMatchObject({ code: 'invalid_request', reason: 'several_limits' });
    expect(house.target.made).toEqual([]);
    expect(await types()).toEqual([]);
  });

  it('are denied together where one is', async () => {
    let asked = 0;
    const terms = { ttl: 60, once: false, tokenLife: false, claims: [] };
    house.decide = () => (asked++ === 0 ? { allow: true, grant: 'g', terms } : { allow: false, reason: 'no_grant' });
    expect((await refusalOf(house.broker.issueAll(batch(['orders-db', 'stripe-key'])))).code).toBe('denied');
    expect(house.target.made).toEqual([]);
    expect(await types()).toEqual(['denial']);
  });
});

describe('what a request brings along', () => {
  it.each(['csr', 'publicKey'] as const)('is refused where the credential takes no %s', async (member) => {
    const call = { ...house.call('orders-db'), options: async () => ({ [member]: 'x' }) };
    expect(await refusalOf(house.broker.issue(call))).toMatchObject({ code: 'invalid_request', reason: 'not_taken' });
    expect(house.target.made).toEqual([]);
  });
});
