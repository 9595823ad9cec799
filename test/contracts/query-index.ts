import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { IndexFilter, IndexRow, QueryIndex } from '../../src/ledger/query-index.ts';
import { soon } from '../ledger/fixtures.ts';

export interface IndexUnderTest {
  /** An empty index. */
  readonly index: QueryIndex;
  end(): Promise<void>;
}

const start = Date.UTC(2026, 10, 22, 12);
const minute = 60_000;

/** An issuance of each minute, the oldest first; `more` says what is special about it. */
const row = (index: number, more: Partial<IndexRow> = {}): IndexRow => ({
  index,
  time: start + index * minute,
  type: 'issuance',
  issuance: `issuance-${index}`,
  issuer: 'ci',
  credential: 'orders-db',
  kind: 'postgres',
  grant: 'checkout',
  account: `hp_${index}`,
  fingerprint: `hmac-sha256:${index}`,
  fingerprintKey: 'key-1',
  trace: `trace-${index}`,
  name: 'ci:acme/shop@main',
  token: `token-${index}`,
  ...more,
});

const rows = (from: number, to: number, more: (index: number) => Partial<IndexRow> = () => ({})): IndexRow[] =>
  Array.from({ length: to - from }, (_, at) => row(from + at, more(from + at)));

/** What every query index keeps to. */
export function queryIndexContract(name: string, make: () => Promise<IndexUnderTest>): void {
  describe(`query index contract: ${name}`, () => {
    let under: IndexUnderTest;
    let index: QueryIndex;

    beforeEach(async () => {
      under = await make();
      index = under.index;
    });
    afterEach(() => under.end());

    const add = async (given: readonly IndexRow[], from: number, to: number) =>
      expect(await index.add(given, from, to, soon())).toBe(true);
    const find = (filter: IndexFilter, before = Number.MAX_SAFE_INTEGER, limit = 100) =>
      index.find(filter, before, limit, soon());

    it('has seen nothing at first, and finds nothing', async () => {
      expect(await index.seen(soon())).toBe(0);
      expect(await find({})).toEqual([]);
      expect(await find({ type: 'issuance', name: 'ci:*', from: start, to: start + minute })).toEqual([]);
    });

    it('finds what was added, newest first, and says how far it has seen', async () => {
      await add(rows(0, 3), 0, 3);
      expect(await index.seen(soon())).toBe(3);
      await add(rows(3, 5), 3, 5);
      expect(await index.seen(soon())).toBe(5);
      expect(await find({})).toEqual([4, 3, 2, 1, 0]);
      expect(await find({ type: 'issuance' })).toEqual([4, 3, 2, 1, 0]);
    });

    it('takes rows only where it had seen exactly up to them, and then all or none', async () => {
      await add(rows(0, 3), 0, 3);
      expect(await index.add(rows(0, 3), 0, 3, soon())).toBe(false);
      expect(await index.add(rows(2, 5), 2, 5, soon())).toBe(false);
      expect(await index.add(rows(4, 6), 4, 6, soon())).toBe(false);
      expect(await index.seen(soon())).toBe(3);
      expect(await find({})).toEqual([2, 1, 0]);
      const both = await Promise.all([index.add(rows(3, 5), 3, 5, soon()), index.add(rows(3, 4), 3, 4, soon())]);
      expect(both.filter(Boolean)).toHaveLength(1);
    });

    it('takes positions without a row', async () => {
      await add([row(1)], 0, 4);
      await add([], 4, 9);
      expect(await index.seen(soon())).toBe(9);
      expect(await find({})).toEqual([1]);
    });

    it('finds by each member alone', async () => {
      const special: Partial<IndexRow> = {
        type: 'denial',
        issuance: 'another',
        issuer: 'shop',
        credential: 'stripe',
        kind: 'secret',
        store: 'vault',
        grant: 'pay',
        reason: 'no_grant',
        account: 'app',
        fingerprint: 'hmac-sha256:other',
        fingerprintKey: 'key-2',
        trace: 'f'.repeat(32),
        name: 'shop:pay',
        token: 'T'.repeat(43),
      };
      await add(
        rows(0, 9, (at) => (at === 4 ? special : {})),
        0,
        9,
      );
      for (const [member, value] of Object.entries(special)) {
        expect(await find({ [member]: value }), member).toEqual([4]);
        expect(await find({ [member]: `${value}?` }), member).toEqual([]);
        expect(await find({ [member]: value }, 4), member).toEqual([]);
      }
      expect(await find(special)).toEqual([4]);
      expect(await find({ ...special, credential: 'orders-db' })).toEqual([]);
    });

    it('asks for all members together, however many rows each has', async () => {
      const made = rows(0, 60, (at) => ({
        type: at % 2 === 0 ? 'issuance' : 'denial',
        credential: at % 3 === 0 ? 'stripe' : 'orders-db',
        name: `ci:acme/${at % 5}@main`,
      }));
      await add(made, 0, 60);
      expect(await find({ type: 'denial', credential: 'stripe', name: 'ci:acme/3@main' })).toEqual([33, 3]);
      expect(await find({ type: 'denial', credential: 'stripe', name: 'ci:acme/*@main' }, 40, 3)).toEqual([39, 33, 27]);
      expect(await find({ type: 'session', credential: 'stripe' })).toEqual([]);
    });

    it('pages meet without gap or overlap, whatever is added meanwhile', async () => {
      await add(
        rows(0, 40, (at) => ({ credential: at % 3 === 0 ? 'stripe' : 'orders-db' })),
        0,
        40,
      );
      const got: number[] = [];
      let before = Number.MAX_SAFE_INTEGER;
      for (let size = 40; ; size++) {
        const page = await find({ credential: 'stripe' }, before, 5);
        if (page.length === 0) break;
        got.push(...page);
        before = page.at(-1) as number;
        await add([row(size, { credential: 'stripe' })], size, size + 1);
      }
      expect(got).toEqual([39, 36, 33, 30, 27, 24, 21, 18, 15, 12, 9, 6, 3, 0]);
    });

    it('takes a star in a name for characters of one segment', async () => {
      const names = [
        'ci:acme/shop@main',
        'ci:acme/web@main',
        'ci:acme/web@next',
        'ci:acme/shop/sub@main',
        'ci:acme',
        'ci:other/shop@main',
        'k8s:prod/shop/checkout',
      ];
      await add(
        rows(0, names.length, (at) => ({ name: names[at] })),
        0,
        names.length,
      );
      expect(await find({ name: 'ci:acme/*@main' })).toEqual([1, 0]);
      expect(await find({ name: 'ci:acme/*' })).toEqual([2, 1, 0]);
      expect(await find({ name: 'ci:*/shop@main' })).toEqual([5, 0]);
      expect(await find({ name: 'ci:*' })).toEqual([4]);
      expect(await find({ name: 'k8s:*/*/checkout' })).toEqual([6]);
      expect(await find({ name: '*:acme/web@*' })).toEqual([2, 1]);
      expect(await find({ name: 'ci:acme/web@main' })).toEqual([1]);
      expect(await find({ name: 'CI:acme/*' })).toEqual([]);
      expect(await find({ name: 'ci:acme/%' })).toEqual([]);
      expect(await find({ name: 'ci:acme/?hop@main' })).toEqual([]);
    });

    it('finds by time, from inclusive and to exclusive, though times go up and down a little', async () => {
      const times = [0, 20, 10, 61, 55, 70, 150, 130, 86_500, 86_470, 200_000].map((seconds) => start + seconds * 1000);
      await add(
        rows(0, times.length, (at) => ({ time: times[at] })),
        0,
        times.length,
      );
      const between = (from?: number, to?: number) =>
        times
          .map((time, at) => [time, at] as const)
          .filter(([time]) => (from === undefined || time >= from) && (to === undefined || time < to))
          .map(([, at]) => at)
          .reverse();
      const edges = [undefined, start - 1, start, ...times, start + 60_000, start + 120_000, start + 86_400_000];
      for (const from of edges) {
        for (const to of edges) {
          const filter = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
          expect(await find(filter), JSON.stringify(filter)).toEqual(between(from, to));
        }
      }
      expect(await find({ from: start + 60_000, to: start + 86_400_000, type: 'issuance' }, 7, 2)).toEqual([6, 5]);
    });

    it('forgets what was disclosed at a position, and nothing else of it', async () => {
      await add(rows(0, 4), 0, 4);
      await index.forget([1, 2], soon());
      expect(await find({ name: 'ci:acme/shop@main' })).toEqual([3, 0]);
      expect(await find({ name: 'ci:acme/*@main' })).toEqual([3, 0]);
      expect(await find({ token: 'token-1' })).toEqual([]);
      expect(await find({ token: 'token-3' })).toEqual([3]);
      expect(await find({ account: 'hp_1' })).toEqual([1]);
      expect(await find({ credential: 'orders-db' })).toEqual([3, 2, 1, 0]);
      await index.forget([0, 1, 2, 3], soon());
      expect(await find({ name: 'ci:acme/shop@main' })).toEqual([]);
      expect(await index.seen(soon())).toBe(4);
    });

    it('forgets at a position whose row comes later, as whoever adds it may have read it before', async () => {
      await add(rows(0, 2), 0, 2);
      await index.forget([1, 3], soon());
      await add(rows(2, 5), 2, 5);
      expect(await find({ name: 'ci:acme/shop@main' })).toEqual([4, 2, 0]);
      expect(await find({ token: 'token-3' })).toEqual([]);
      expect(await find({ account: 'hp_3' })).toEqual([3]);
      await add(rows(5, 7), 5, 7);
      expect(await find({ name: 'ci:acme/shop@main' })).toEqual([6, 5, 4, 2, 0]);
    });

    it('is empty once cleared, and can be built again', async () => {
      await add(rows(0, 4), 0, 4);
      await index.clear(soon());
      expect(await index.seen(soon())).toBe(0);
      expect(await find({})).toEqual([]);
      expect(await find({ name: 'ci:*/*' })).toEqual([]);
      await add(rows(0, 2), 0, 2);
      expect(await find({ name: 'ci:*/*' })).toEqual([1, 0]);
    });

    it('counts the fingerprints under each key, where it can', async () => {
      await add(
        rows(0, 6, (at) => ({ fingerprintKey: at < 2 ? 'key-0' : 'key-1' })),
        0,
        6,
      );
      const counts = await index.fingerprintKeys?.(soon());
      if (counts !== undefined) expect(counts).toEqual({ 'key-0': 2, 'key-1': 4 });
    });

    it('refuses as unavailable when there is no time left', async () => {
      await add(rows(0, 4), 0, 4);
      await expect(index.find({}, 9, 9, soon(-60_000))).rejects.toMatchObject({ code: 'ledger_unavailable' });
    });
  });
}
