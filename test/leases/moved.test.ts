import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConfiguredCredential } from '../../src/credentials/kind.ts';
import { openTargetMark, type Place } from '../../src/credentials/target-mark.ts';
import { parseRecord } from '../../src/ledger/records/record.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { type House, openHouse } from '../broker/house.ts';

const hour = 3_600_000;
const old: Place = { host: 'old.example.com', port: 5432 };
const next: Place = { host: 'new.example.com', port: 5432 };

let house: House;
beforeEach(async () => {
  house = await openHouse();
});
afterEach(() => house.close());

/** From now on the entry of that name says this place, and that those are the same. */
function move(name: string, now: Place, ...formerly: Place[]): void {
  const configured = house.credentials.get(name) as ConfiguredCredential;
  house.credentials.set(name, { ...configured, target: openTargetMark(configured.kind, { now, formerly }) });
}

const soon = () => deadlineIn(30_000, () => house.clock.ms);
const sweep = () => house.otherSweeper().run(soon());
const reasonsOf = async (id: string) =>
  (await house.ledger.issuance(id, soon())).flatMap(({ record }) => {
    const { type, reason } = parseRecord(record);
    return reason === undefined ? [] : [`${type} ${reason}`];
  });

describe('a lease whose entry names another target by now', () => {
  it('has the mark of its target in its intent and its issuance, and nowhere else', async () => {
    move('orders-db', old);
    const { id } = await house.broker.issue(house.call('orders-db'));
    await house.broker.revoke({ ...house.call('orders-db'), id });
    const told = (await house.records()).map(({ type, version }) => [type, version?.startsWith('target:')]);
    expect(told).toEqual([
      ['policy', undefined],
      ['intent', true],
      ['issuance', true],
      ['revocation', undefined],
      ['revocation', undefined],
    ]);
  });

  it('is expired and owed, though nothing of it is at the new one', async () => {
    move('orders-db', old);
    const { id } = await house.broker.issue(house.call('orders-db'));
    move('orders-db', next);
    house.clock.ms += hour;
    expect(await sweep()).toMatchObject({ undone: 0, unrevoked: 1, failed: [{ id, reason: 'target_changed' }] });
    expect(await reasonsOf(id)).toEqual(['revocation unrevoked']);
    // What fails at the new one changes nothing of it.
    house.target.undoFails = true;
    expect(await sweep()).toMatchObject({ unrevoked: 1, failed: [{ id, reason: 'target_changed' }] });
    house.target.undoFails = false;
    move('orders-db', next, old);
    expect(await sweep()).toMatchObject({ undone: 1, unrevoked: 0 });
    expect(await reasonsOf(id)).toEqual(['revocation unrevoked', 'revocation done']);
  });

  it('is owed where it was begun there and never handed over', async () => {
    move('orders-db', old);
    house.target.makeFails = 'after';
    house.target.undoFails = true;
    await expect(house.broker.issue(house.call('orders-db'))).rejects.toMatchObject({ code: 'store_timeout' });
    const [account = ''] = house.target.made;
    const id = account.slice('hp_'.length);
    house.target.undoFails = false;
    move('orders-db', next);
    house.clock.ms += hour;
    expect(await sweep()).toMatchObject({ undone: 0, unrevoked: 1, failed: [{ id, reason: 'target_changed' }] });
    expect(await reasonsOf(id)).toEqual(['failure abandoned', 'revocation unrevoked']);
    move('orders-db', old);
    expect(await sweep()).toMatchObject({ undone: 1, unrevoked: 0 });
  });

  it('is ended as ever where its record has no mark: it is of before there were any', async () => {
    const { id } = await house.broker.issue(house.call('orders-db'));
    move('orders-db', next);
    expect(await house.broker.revoke({ ...house.call('orders-db'), id })).toBe('done');
    expect([...house.target.alive]).toEqual([]);
  });

  it('is not shown to the new one where its handle keeps what ends it', async () => {
    move('a-token', { api: 'https://api.github.com' });
    const { id, lease } = await house.broker.issue(house.call('a-token'));
    move('a-token', { api: 'https://github.example.com' });
    const { token: _, ...call } = { ...house.call('a-token'), id };
    const revoke = () => house.broker.revoke({ ...call, handle: lease.handle });
    expect(await revoke()).toBe('recorded');
    expect([...house.target.fetched]).toEqual([id]);
    expect(await sweep()).toMatchObject({ unrevoked: 1 });
    // It is over by itself.
    house.clock.ms += hour + 60_000;
    expect(await sweep()).toMatchObject({ undone: 1, unrevoked: 0 });
    expect(await reasonsOf(id)).toEqual(['revocation requested', 'revocation unrevoked', 'revocation done']);
  });

  it('in a ledger of shards is owed in each of them', async () => {
    const sharded = await openHouse({ shards: 3 });
    const single = house;
    house = sharded;
    try {
      move('orders-db', old);
      for (let n = 0; n < 9; n++) await house.broker.issue(house.call('orders-db'));
      move('orders-db', next);
      house.clock.ms += hour;
      expect(await sweep()).toMatchObject({ undone: 0, unrevoked: 9 });
      move('orders-db', old);
      expect(await sweep()).toMatchObject({ undone: 9, unrevoked: 0 });
    } finally {
      house = single;
      await sharded.close();
    }
  });
});
