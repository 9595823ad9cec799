import { expect, test } from 'vitest';
import { openBackOff } from '../../src/leases/back-off.ts';

const hour = 3_600_000;

/** The waits after each of so many failures that come as soon as they may. */
function waits(count: number, random: () => number): number[] {
  const backOff = openBackOff(random);
  const found: number[] = [];
  let at = 1_000_000;
  for (let n = 0; n < count; n++) {
    backOff.failed('a', 'refused', at);
    const next = backOff.get('a')?.next ?? 0;
    found.push(next - at);
    expect([backOff.isDue('a', next - 1), backOff.isDue('a', next)]).toEqual([false, true]);
    at = next;
  }
  return found;
}

test('begins at five seconds and waits half a minute at most in the first hours', () => {
  expect(waits(6, () => 0)).toEqual([5_000, 10_000, 20_000, 30_000, 30_000, 30_000]);
});

test('leaves half of each wait to chance', () => {
  expect(waits(4, () => 1)).toEqual([2_500, 5_000, 10_000, 15_000]);
});

test('waits five minutes at most later on, and never gives up', () => {
  const backOff = openBackOff(() => 0);
  for (let at = 0; at <= 24 * hour; at += 30_000) backOff.failed('a', 'refused', at);
  const { next = 0, at = 0, tries } = backOff.get('a') ?? {};
  expect([next - at, tries]).toEqual([300_000, 2_881]);
});

test('waits for no clock that was set back', () => {
  const backOff = openBackOff(() => 0);
  backOff.failed('a', 'refused', 10 * hour);
  expect(backOff.isDue('a', 10 * hour + 1_000)).toBe(false);
  expect(backOff.isDue('a', 9 * hour)).toBe(true);
  backOff.failed('a', 'refused', 9 * hour);
  expect([backOff.isDue('a', 9 * hour + 9_999), backOff.isDue('a', 9 * hour + 10_000)]).toEqual([false, true]);
});

test('knows nothing of what was forgotten, and forgets the oldest beyond ten thousand', () => {
  const backOff = openBackOff(() => 0);
  for (let n = 0; n <= 10_000; n++) backOff.failed(String(n), 'refused', 0);
  expect([backOff.isDue('0', 0), backOff.isDue('1', 0)]).toEqual([true, false]);
  backOff.forget('1');
  expect(backOff.isDue('1', 0)).toBe(true);
});
