import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startForwarding } from '../../src/http/forwarding.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('goes on at once with a sink that is behind, and looks again after a second where there was no more', async () => {
  let passes = 0;
  const courier = { pass: async () => ++passes < 4 };
  const forwarding = startForwarding({ couriers: [courier], run: async () => {} }, { now: Date.now });
  await vi.advanceTimersByTimeAsync(10);
  expect(passes).toBe(4);
  await vi.advanceTimersByTimeAsync(900);
  expect(passes).toBe(4);
  await vi.advanceTimersByTimeAsync(100);
  expect(passes).toBe(5);
  forwarding.stop();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(passes).toBe(5);
});

test('lets no sink wait for another', async () => {
  let passes = 0;
  const hangs = { pass: () => new Promise<boolean>(() => {}) };
  const goes = { pass: async () => ++passes < 0 };
  const forwarding = startForwarding({ couriers: [hangs, goes], run: async () => {} }, { now: Date.now });
  await vi.advanceTimersByTimeAsync(3_050);
  expect(passes).toBe(4);
  forwarding.stop();
});
