import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openBook } from '../../../src/ledger/erasure/book.ts';
import type { AppendRequest, Ledger } from '../../../src/ledger/ledger.ts';
import { deadlineIn } from '../../../src/lib/deadline.ts';
import { Refusal } from '../../../src/lib/refusal.ts';

const soon = () => deadlineIn(5_000, Date.now);
const lockdown = (id: string, epoch: number) => ({ id, epoch, match: {} });

/** A book at a ledger that answers every append with what `answer` gives. */
function bookAt(answer: (request: AppendRequest) => Promise<never> | never) {
  const ledger = { append: async (request: AppendRequest) => answer(request) } as unknown as Ledger;
  const writer = { name: 'https://pass.example.com', instance: 'one', version: '1' };
  const policy = { hash: 'sha256:x', grants: 1, credentials: 1 };
  return openBook({ ledger, policy, writer, now: Date.now, random: (bytes) => randomBytes(bytes) });
}

const stale = (epoch: number, lockdowns: object[]): never => {
  throw new Refusal('stale', 'stale', { members: { epoch, lockdowns } });
};

describe('what a broker has heard of lockdowns', () => {
  test('is asked for once more where the question under way may be older than what is known', async () => {
    const waiting: (() => void)[] = [];
    let epoch = 0;
    const book = bookAt(async () => {
      const seen = epoch;
      await new Promise<void>((resolve) => waiting.push(resolve));
      return stale(seen, seen === 0 ? [] : [lockdown('a', seen)]);
    });
    const first = book.refresh(soon());
    epoch = 1;
    const second = book.refresh(soon(), 1);
    waiting[0]?.();
    await first;
    await expect.poll(() => waiting.length).toBe(2);
    waiting[1]?.();
    expect(await second).toBe(true);
    expect(book.lockdowns).toEqual([lockdown('a', 1)]);
  });

  test('goes back with a ledger that has lost a lockdown, and not with an answer that was overtaken', async () => {
    let told = 5;
    const book = bookAt(() => stale(told, [lockdown('a', told)]));
    const append = (epoch: number) =>
      book.append({ record: '{}', disclosure: null }, soon(), { epoch }).catch(() => undefined);
    await append(0);
    told = 3;
    await append(1);
    expect(book.epoch).toBe(5);
    await append(5);
    expect(book.epoch).toBe(3);
    expect(book.lockdowns).toEqual([lockdown('a', 3)]);
  });

  test('is said to be unknown where the ledger does not answer', async () => {
    const book = bookAt(() => {
      throw new Refusal('ledger_unavailable', 'timeout');
    });
    expect(await book.refresh(soon(), 1)).toBe(false);
  });
});
