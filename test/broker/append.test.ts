import { expect, it } from 'vitest';
import { type AppendDeps, openAppend } from '../../src/broker/append.ts';
import type { Pass } from '../../src/broker/pass.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';

const terms = { ttl: 60, once: false, tokenLife: false, claims: [] };
const pass = (epoch: number) =>
  ({
    call: { credential: 'x', deadline: deadlineIn(15_000, Date.now) },
    identity: {},
    decision: { allow: true, grant: 'g', terms, epoch },
    credential: { made: 'read' },
  }) as unknown as Pass;

it('passes that were decided under two epochs are appended under the older one, then decided again', async () => {
  const asked: { epoch: number | undefined; records: number[] }[] = [];
  const deps = {
    limits: { ledgerMs: 2_000, undoMs: 2_000 },
    gate: { decide: async () => ({ allow: true, grant: 'g', terms, epoch: 5 }) },
    book: {
      async appendAll(entries: readonly { record: string }[], _: unknown, under: { epoch?: number }) {
        asked.push({ epoch: under.epoch, records: entries.map(({ record }) => Number(record)) });
        if (under.epoch !== 5) throw new Refusal('stale', 'stale');
        return { receipts: [], minted: [] };
      },
    },
  } as unknown as AppendDeps;
  await openAppend(deps)([pass(0), pass(5)], ({ decision }) => ({ record: String(decision.epoch), disclosure: null }));
  expect(asked).toEqual([
    { epoch: 0, records: [0, 0] },
    { epoch: 5, records: [5, 5] },
  ]);
});
