import { expect, test } from 'vitest';
import { openWait } from '../../src/lib/wait.ts';

const hour = 3_600_000;

test('a wait is over after its time, and not before', () => {
  let at = 1_000;
  const isOver = openWait(60_000, () => at);
  expect(isOver()).toBe(false);
  at += 59_999;
  expect(isOver()).toBe(false);
  at += 1;
  expect(isOver()).toBe(true);
});

test('a clock that was set back makes nobody wait longer than that from then on', () => {
  let at = 30 * hour;
  const isOver = openWait(60_000, () => at);
  at -= 24 * hour;
  expect(isOver()).toBe(false);
  at += 60_000;
  expect(isOver()).toBe(true);
});

test('a wait of no time is over at once', () => {
  expect(openWait(0, () => 5)()).toBe(true);
});
