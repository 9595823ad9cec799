import { expect, it } from 'vitest';
import { openUpkeep, type UpkeepDeps } from '../../../src/config/parts/upkeep.ts';
import type { Standby } from '../../../src/ledger/going-on/standby.ts';
import { deadlineIn } from '../../../src/lib/deadline.ts';
import { Refusal } from '../../../src/lib/refusal.ts';

it('says once for each reason that something is left here that was erased elsewhere, and when it is done', async () => {
  const said: unknown[] = [];
  let fails: Error | undefined;
  const standby = {
    async erased() {
      if (fails !== undefined) throw fails;
      return true;
    },
  } as unknown as Standby;
  const nothing = async () => undefined;
  const keepUp = openUpkeep(
    { ledger: { kind: 'sqlite' }, limits: { ledgerMs: 100, storeMs: 100 } } as never,
    { now: Date.now, log: (_, event, facts = {}) => void said.push({ event, ...facts }) },
    {
      ledger: { elsewhere: undefined },
      standby,
      ring: undefined,
      broker: { summarise: nothing },
      sweeper: async () => ({ run: nothing }),
      rotation: async () => ({ rotateDue: nothing }),
      retention: nothing,
    } as unknown as UpkeepDeps,
  );
  const pass = async (error?: Error) => {
    fails = error;
    const done = keepUp(deadlineIn(1_000, Date.now));
    await (error === undefined ? done : expect(done).rejects.toBe(error));
  };
  const erasures = () => said.filter((one) => (one as { event: string }).event.startsWith('erasures_'));
  await pass();
  expect(erasures()).toEqual([]);
  for (const error of [new Error('the disk is full'), new Error('still'), new Refusal('ledger_unavailable', 'timeout')])
    await pass(error);
  await pass();
  await pass();
  expect(erasures()).toEqual([
    { event: 'erasures_left', reason: 'internal' },
    { event: 'erasures_left', reason: 'timeout' },
    { event: 'erasures_done' },
  ]);
});
