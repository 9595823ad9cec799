import { expect, test } from 'vitest';
import { openGate } from '../../src/broker/gate.ts';
import type { Book } from '../../src/ledger/erasure/book.ts';
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

test('a writer who knows of a lockdown that this instance could not hear of is not let in', async () => {
  let answers = false;
  const book = { epoch: 0, lockdowns: [], refresh: async () => answers } as unknown as Book;
  const gate = openGate({
    verify: async () => {
      throw new Error('not asked');
    },
    verifyBinding: () => {
      throw new Error('not asked');
    },
    policy: { permits: () => ({ allow: true, grant: 'g', terms: {} }) } as never,
    knows: () => false,
    book,
    ledgerMs: 2_000,
    now: Date.now,
    log: () => {},
    count: () => {},
  });
  const call = { token: 't', request: 'r', deadline: deadlineIn(15_000, Date.now) };
  const permit = (known?: number) => gate.permit(call, {} as never, 'ledger:append', known);
  await expect(permit(1)).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'epoch_unheard' });
  await expect(permit()).resolves.toMatchObject({ allow: true });
  // A ledger that is behind its writer says so itself.
  answers = true;
  await expect(permit(1)).resolves.toMatchObject({ allow: true });
});
