import { expect, test } from 'vitest';
import { openGate } from '../../src/broker/gate.ts';
import type { Book } from '../../src/ledger/book.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';

test('a bad token waits for the summaries of all issuers no longer than for one', async () => {
  let clock = Date.parse('2026-11-22T12:00:00Z');
  const now = () => clock;
  const until: number[] = [];
  const book = {
    write: () => ({ record: '{}', disclosure: null }),
    async append(_: unknown, deadline: { at: number }) {
      until.push(deadline.at);
      clock += 1_500;
      throw new Refusal('ledger_unavailable', 'timeout');
    },
  } as unknown as Book;
  const gate = openGate({
    verify: (issuer) => Promise.reject(new Refusal('token_invalid', 'signature', { facts: { issuer } })),
    verifyBinding: () => {
      throw new Refusal('token_invalid', 'binding');
    },
    policy: {} as never,
    knows: () => false,
    book,
    ledgerMs: 2_000,
    now,
    log: () => {},
    count: () => {},
  });
  const call = (token: string) =>
    gate.verify({ token, request: 'r', deadline: deadlineIn(15_000, now) }).catch((error) => error as Refusal);
  for (const issuer of ['a', 'b', 'c']) await call(issuer);
  clock += 61_000;
  const began = clock;
  expect(await call('a')).toMatchObject({ code: 'token_invalid' });
  expect(until).toEqual([began + 2_000, began + 2_000, began + 2_000]);
});
