import { expect, it } from 'vitest';
import type { Relied } from '../../../src/ledger/confirming/pledge.ts';
import { coverOf, takeOver } from '../../../src/ledger/confirming/relying.ts';
import { soon } from '../fixtures.ts';

const relied = (state: Relied['state'], generation: number): Relied => ({
  instance: 'i',
  serial: 3,
  state,
  generation,
});
const unheard = relied('over', 0);

it.each([
  ['covered', relied('on', 3)],
  ['begun', relied('on', 4)],
  ['begun', relied('off', 4)],
  ['begun', relied('over', 4)],
  ['begun', relied('replaced', 4)],
  ['none', relied('off', 3)],
  ['none', relied('entering', 0)],
  ['none', unheard],
  ['none', undefined],
] as const)('a promotion of log 3 is %s with %j', (cover, known) => {
  expect(coverOf(known, 3)).toBe(cover);
});

it('is not told to begin a log that the other announced, also where its promise is over, unless that is fenced', async () => {
  const kept = JSON.stringify(relied('off', 4));
  const written: unknown[] = [];
  const texts = { read: async () => kept, write: async (...what: unknown[]) => written.push(what) > 0 };
  await expect(takeOver(texts, { by: 'told', generation: 3 }, soon())).rejects.toMatchObject({ reason: 'begun' });
  expect(written).toEqual([]);
  expect(await takeOver(texts, { by: 'told', generation: 3, mayBegin: true }, soon())).toBe('begun');
});
