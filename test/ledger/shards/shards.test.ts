import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AppendResult, everyWriter, type Ledger } from '../../../src/ledger/ledger.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { verifyReceipt } from '../../../src/ledger/receipts/receipt.ts';
import { parseRecord } from '../../../src/ledger/records/record.ts';
import { hashedShard } from '../../../src/ledger/shards/placement.ts';
import { noteVerifier } from '../../../src/ledger/tree/note.ts';
import { Refusal } from '../../../src/lib/refusal.ts';
import { ledgerContract, refusal } from '../../contracts/ledger.ts';
import { newFolder, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, clockAt, digest, scribe, soon } from '../fixtures.ts';
import { openShards, origin } from '../sharded-fixture.ts';

ledgerContract(
  'two shards of sqlite',
  async (given) => {
    const folder = newFolder();
    let ledger = await openShards(folder, 2, given);
    return {
      ledger,
      async restart() {
        await ledger.close();
        ledger = await openShards(folder, 2, given);
        return ledger;
      },
      async end() {
        await ledger.close();
        removeFolder(folder);
      },
    };
  },
  { sharded: true },
);

describe('a ledger of four shards', () => {
  const clock = clockAt(Date.now());
  const write = scribe(clock);
  let folder: string;
  let ledger: Ledger;
  /** Shards that answer nothing but ledger_unavailable. */
  let down: Set<number>;

  const between = (log: Log, shard: number): Log => {
    const refuse = () => Promise.reject(new Refusal('ledger_unavailable', 'down'));
    return {
      ...log,
      copy: (...given) => (down.has(shard) ? refuse() : log.copy(...given)),
      issuance: (...given) => (down.has(shard) ? refuse() : log.issuance(...given)),
    };
  };
  const open = () => openShards(folder, 4, { now: () => clock.at }, between);

  beforeEach(async () => {
    clock.at = Date.now();
    down = new Set();
    folder = newFolder();
    ledger = await open();
  });
  afterEach(async () => {
    await ledger.close();
    removeFolder(folder);
  });

  const append = (...entries: Parameters<typeof asking>) => ledger.append(asking(...entries), soon());
  const under = (epoch: number, ...entries: Parameters<typeof asking>) =>
    ledger.append({ ...asking(...entries), epoch }, soon());
  const logOf = ({ receipts }: AppendResult) => receipts[0]?.log;
  const epochs = () =>
    Promise.all((ledger.shards ?? []).map(async ({ reader }) => (await reader?.head(soon()))?.epoch));
  const lockdowns = () =>
    Promise.all(
      (ledger.shards ?? []).map(async ({ reader }) =>
        (await reader?.list({ type: 'lockdown', limit: 100 }, soon()))?.map(({ record }) => record).reverse(),
      ),
    );

  it('has a log for each, whose receipts verify under the one key of the ledger', async () => {
    const results = await Promise.all(Array.from({ length: 60 }, () => append(write.issuance(write.id()))));
    expect(new Set(results.map(logOf))).toEqual(new Set([0, 1, 2, 3].map((n) => `${origin}/${n}`)));
    const key = await ledger.key(soon());
    expect(noteVerifier(key).name).toBe(origin);
    for (const { receipts } of results) verifyReceipt(receipts[0] as (typeof receipts)[0], key);
  });

  it('puts an append by its replay key, else by its holder, else by its issuance, in whichever process', async () => {
    const ids = Array.from({ length: 8 }, () => write.id());
    const all = async () => {
      const logs: (string | undefined)[] = [];
      for (const [at, id] of ids.entries()) {
        const once = digest(String.fromCharCode(97 + at));
        logs.push(
          logOf(await ledger.append({ ...asking(write.intent(write.id(), { once })), once }, soon()).catch(spent)),
        );
        const max = { holder: digest(String.fromCharCode(65 + at)), most: 9 };
        logs.push(logOf(await ledger.append({ ...asking(write.intent(write.id())), max }, soon())));
        const bare = { ...asking(write.issuance(id)) };
        logs.push(
          logOf(
            await (first.get(id) ?? Promise.resolve(undefined)).then((sent) => ledger.append(sent ?? bare, soon())),
          ),
        );
        first.set(id, Promise.resolve(first.has(id) ? await first.get(id) : bare) as never);
      }
      return logs;
    };
    const first = new Map<string, Promise<ReturnType<typeof asking>>>();
    const spent = (error: Refusal) => ({ receipts: [{ log: error.code }], minted: [] }) as unknown as AppendResult;
    const one = await all();
    await ledger.close();
    ledger = await open();
    const two = await all();
    expect(two.filter((_, at) => at % 3 === 0).every((log) => log === 'replayed')).toBe(true);
    expect(two.filter((_, at) => at % 3 > 0)).toEqual(one.filter((_, at) => at % 3 > 0));
  });

  it('tells of an issuance where it is, also in a process that did not put it there', async () => {
    const ids = Array.from({ length: 6 }, () => write.id());
    for (const [at, id] of ids.entries()) {
      const once = digest(String(at));
      await ledger.append({ ...asking(write.intent(id, { once })), once }, soon());
      await ledger.append({ ...asking(write.issuance(id, { once })), once }, soon());
      // A login for it may lie elsewhere, and misleads nobody.
      await append(write.write('session', { issuance: id, store: 'aws', audience: 'sts', epoch: 0 }));
    }
    await ledger.close();
    ledger = await open();
    for (const id of ids) {
      const revoked = await append(write.revocation(id));
      const story = await ledger.issuance(id, soon());
      expect(story.map(({ record }) => parseRecord(record).type).sort()).toEqual([
        'intent',
        'issuance',
        'revocation',
        'session',
      ]);
      const logs = await Promise.all(
        (ledger.shards ?? []).map(async (log) => ({
          origin: log.origin,
          types: (await log.issuance(id, soon(), everyWriter)).map(({ record }) => parseRecord(record).type),
        })),
      );
      expect(logs.find(({ types }) => types.includes('issuance'))?.origin).toBe(logOf(revoked));
      await expect(append(write.failure(id))).rejects.toMatchObject({ reason: 'second_outcome' });
    }
  });

  it('revokes what is in one shard while others are away, and nothing of which nobody can say where it is', async () => {
    const ids = Array.from({ length: 8 }, () => write.id());
    const placed = new Map<string, string | undefined>();
    for (const id of ids) {
      await append(write.intent(id));
      placed.set(id, logOf(await append(write.issuance(id))));
    }
    await ledger.close();
    ledger = await open();
    for (const shard of [1, 2, 3]) down.add(shard);
    for (const id of ids) {
      const revoked = append(write.revocation(id));
      if (placed.get(id) === `${origin}/0`) expect(logOf(await revoked)).toBe(`${origin}/0`);
      else expect((await refusal(revoked)).code).toBe('ledger_unavailable');
    }
    down.clear();
    for (const id of ids) expect(logOf(await append(write.revocation(id)))).toBe(placed.get(id));
  });

  it('takes no outcome under another replay key into another shard than the intent’s', async () => {
    const id = write.id();
    const [once, ...others] = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(digest) as [string, ...string[]];
    await ledger.append({ ...asking(write.intent(id, { once })), once }, soon());
    for (const other of others)
      if (hashedShard(other, 4) !== hashedShard(once, 4))
        await expect(
          ledger.append({ ...asking(write.issuance(id, { once: other })), once: other }, soon()),
        ).rejects.toMatchObject({ code: 'invalid_request', reason: 'several_shards' });
    await ledger.append({ ...asking(write.issuance(id, { once })), once }, soon());
    expect(await ledger.issuance(id, soon())).toHaveLength(2);
  });

  it('spends a replay key once over two processes', async () => {
    const other = await open();
    for (const once of [digest('x'), digest('y'), digest('z')]) {
      const all = await Promise.allSettled(
        Array.from({ length: 20 }, (_, at) =>
          (at % 2 === 0 ? ledger : other).append({ ...asking(write.intent(write.id(), { once })), once }, soon()),
        ),
      );
      expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      await expect(other.append({ ...asking(write.intent(write.id(), { once })), once }, soon())).rejects.toMatchObject(
        { code: 'replayed' },
      );
    }
    await other.close();
  });

  it('holds no append to both once and max, and spends no second token on a renewal', async () => {
    const [id, once] = [write.id(), digest('o')];
    const both = { ...asking(write.intent(id, { once })), once, max: { holder: digest('h'), most: 1 } };
    expect(await refusal(ledger.append(both, soon()))).toMatchObject({
      code: 'invalid_request',
      reason: 'once_and_max',
    });
    await ledger.append({ ...asking(write.intent(id, { once })), once }, soon());
    await ledger.append({ ...asking(write.issuance(id, { once })), once }, soon());
    const lease = { expiresAt: new Date(clock.at + 900_000).toISOString(), ttl: 900, revocable: true };
    const again = write.write('renewal', { issuance: id, lease, once: digest('p') });
    const renewed = { ...asking(again), once: digest('p') };
    expect(await refusal(ledger.append(renewed, soon()))).toMatchObject({ code: 'denied', reason: 'once_not_renewed' });
    await append(write.write('renewal', { issuance: id, lease }));
  });

  it('counts a holder’s leases together when its name has changed with the key', async () => {
    const [old, young] = [digest('h'), digest('i')];
    const begin = (max: object) => ledger.append({ ...asking(write.intent(write.id())), max } as never, soon());
    await begin({ holder: old, most: 2 });
    await begin({ holder: young, former: [old], most: 2 });
    await expect(begin({ holder: young, former: [old], most: 2 })).rejects.toMatchObject({ reason: 'max' });
  });

  describe('a lockdown', () => {
    it('is in every shard when it returns, and an epoch means the same in each', async () => {
      const added = [
        write.lockdown('add', 'issuer', 1, { issuer: 'a' }),
        write.lockdown('add', 'grant', 2, { grant: 'b' }),
      ];
      for (const [epoch, lockdown] of added.entries()) await under(epoch, lockdown);
      const lifted = write.lockdown('lift', parseRecord(added[0]?.record ?? '').id, 3);
      await under(2, lifted);
      expect(await epochs()).toEqual([3, 3, 3, 3]);
      const sequence = [...added, lifted].map(({ record }) => record);
      expect(await lockdowns()).toEqual([sequence, sequence, sequence, sequence]);
      for (let at = 0; at < 12; at++) {
        const stale = await refusal(append(write.issuance(write.id())));
        expect(stale.options.members).toMatchObject({ epoch: 3, lockdowns: [{ epoch: 2, match: { grant: 'b' } }] });
      }
    });

    it('fails when one shard cannot be reached, and the same again completes it, however late', async () => {
      down.add(2);
      const lockdown = write.lockdown('add', 'issuer', 1, { issuer: 'a' });
      expect((await refusal(append(lockdown))).code).toBe('ledger_unavailable');
      expect((await epochs())[2]).toBe(0);
      clock.at += 600_000;
      expect((await refusal(append(lockdown))).code).toBe('ledger_unavailable');
      down.clear();
      const { receipts } = await append(lockdown);
      expect(receipts[0]?.log).toBe(`${origin}/0`);
      expect(await epochs()).toEqual([1, 1, 1, 1]);
    });

    it('reaches a shard that missed it with the next one, in order', async () => {
      down.add(3);
      const first = write.lockdown('add', 'issuer', 1, { issuer: 'a' });
      await refusal(append(first));
      down.clear();
      const second = write.lockdown('add', 'grant', 2, { grant: 'b' });
      await under(1, second);
      expect((await lockdowns())[3]).toEqual([first.record, second.record]);
    });

    it('reaches a shard that missed it with the first append decided under it, or when it is asked to be ready', async () => {
      down.add(1).add(2);
      await refusal(append(write.lockdown('add', 'issuer', 1, { issuer: 'a' })));
      down.delete(1);
      const log = ledger.shards?.[1]?.origin;
      for (let many = 0; many < 100; many++) {
        const taken = await under(1, write.issuance(write.id(), { epoch: 1 })).catch(() => undefined);
        if (taken?.receipts[0]?.log === log) break;
      }
      expect((await epochs())[1]).toBe(1);
      await expect(ledger.ready(soon())).rejects.toMatchObject({ code: 'ledger_unavailable' });
      down.clear();
      await ledger.ready(soon());
      expect(await epochs()).toEqual([1, 1, 1, 1]);
    });

    it('reaches a shard that missed it though it is erased by then, and stops everything there as it does where it was', async () => {
      down.add(2);
      const first = write.lockdown('add', 'issuer', 1, { issuer: 'a' });
      const lift = write.lockdown('lift', parseRecord(first.record).id, 2);
      const second = write.lockdown('add', 'grant', 3, { grant: 'b' });
      await refusal(append(first));
      for (const [at, lockdown] of [lift, second].entries()) await refusal(under(at + 1, lockdown));
      const [log, , missed] = ledger.shards ?? [];
      const there = (await log?.reader?.list({ type: 'lockdown', limit: 10 }, soon())) ?? [];
      await log?.erase?.(
        there.map(({ index }) => index),
        soon(),
      );
      down.clear();
      await ledger.ready(soon());
      expect(await epochs()).toEqual([3, 3, 3, 3]);
      expect((await lockdowns())[2]).toEqual([first.record, lift.record, second.record]);
      const stale = await refusal(missed?.append(asking(write.issuance(write.id())), soon()) as Promise<unknown>);
      expect(stale.options.members).toMatchObject({ epoch: 3, lockdowns: [{ epoch: 3, match: {} }] });
      // Whoever comes with one of its own still says what it names.
      const bare = { ...write.lockdown('add', 'grant', 4, { grant: 'c' }), disclosure: null };
      expect((await refusal(under(3, bare))).code).toBe('invalid_request');
    });

    it('is the same sequence everywhere when two processes add at once', async () => {
      const other = await open();
      const add = async (by: Ledger, grant: string): Promise<void> => {
        let lockdown = write.lockdown('add', 'grant', 1, { grant });
        for (let tries = 0; tries < 100; tries++) {
          const epoch = (parseRecord(lockdown.record).epoch as number) - 1;
          const failed = await by.append({ ...asking(lockdown), epoch }, soon()).then(
            () => undefined,
            (error: Refusal) => error,
          );
          if (failed === undefined) return;
          const newest = failed.options.members?.epoch;
          if (typeof newest === 'number') lockdown = write.lockdown('add', 'grant', newest + 1, { grant });
        }
        throw new Error('never taken');
      };
      await Promise.all(['a', 'b', 'c'].flatMap((grant) => [add(ledger, grant), add(other, `${grant}2`)]));
      expect(await epochs()).toEqual([6, 6, 6, 6]);
      const [sequence, ...copies] = await lockdowns();
      for (const copy of copies) expect(copy).toEqual(sequence);
      await other.close();
    });

    it('of another deployment on the same tables is copied as it is', async () => {
      const other = { name: 'https://other.example.com', instance: 'x', version: '1' };
      const theirs = scribe(clock, other).lockdown('add', 'issuer', 1, { issuer: 'a' });
      await ledger.shards?.[0]?.copy?.(theirs, soon());
      await ledger.ready(soon());
      expect((await lockdowns())[3]).toEqual([theirs.record]);
    });
  });

  it('keeps the number of shards it was made with', async () => {
    await ledger.close();
    await expect(openShards(folder, 5)).rejects.toThrow('this ledger was made with 4 shards');
    await expect(openShards(folder, 2)).rejects.toThrow('this ledger was made with 4 shards');
    await expect(openShards(folder, 1)).rejects.toThrow('2 to 64 shards');
    ledger = await open();
  });
});
