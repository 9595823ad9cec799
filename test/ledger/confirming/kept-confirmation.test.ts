import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { keepMs, openKeptConfirmation } from '../../../src/ledger/confirming/kept-confirmation.ts';
import type { Texts } from '../../../src/ledger/ledger.ts';

it('is kept as often as ever where the clock is set back', async () => {
  let at = 36_000_000;
  let text: string | undefined;
  const waits: number[] = [];
  const texts: Texts = {
    read: async () => text,
    async write(_, __, next) {
      text = next ?? undefined;
      return true;
    },
  };
  const timer = (ms: number) => {
    waits.push(ms);
    return () => {};
  };
  const kept = openKeptConfirmation(
    () => texts,
    'frankfurt',
    () => at,
    timer,
  );
  const proof = (end: number) => ({ generation: 2, end, root: `root${end}` });
  kept.keep(proof(1), 'one');
  await turn();
  at -= 3_600_000;
  kept.keep(proof(2), 'one');
  await turn();
  expect(JSON.parse(text ?? '')).toEqual({ confirmed: 2, generation: 2, root: 'root2', at, instance: 'one' });
  kept.keep(proof(3), 'one');
  expect(waits.filter((ms) => ms > keepMs.changed)).toEqual([]);
  // Forgotten, it takes less for an answer again.
  kept.forget();
  at += keepMs.same;
  kept.keep(undefined, 'two');
  await turn();
  expect(JSON.parse(text ?? '')).toEqual({ confirmed: 0, at, instance: 'two' });
});
