import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { closeInTime, startBeside } from '../../src/http/beside.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = () => new Promise<never>(() => {});

function told() {
  const said: unknown[] = [];
  const log = (level: string, event: string, facts: object = {}) => void said.push({ level, event, ...facts });
  return { said, platform: { now: Date.now, log }, end: () => void said.push('end') };
}

test('what hangs beside serving ends with the process 15 s after it was told to, and the log says what it was', async () => {
  const { said, platform, end } = told();
  const couriers = [{ pass: never }, { pass: async () => false }];
  const beside = startBeside({ recover: never, forwarder: { couriers, run: async () => {} } }, platform);
  await vi.advanceTimersByTimeAsync(1_000);
  await closeInTime({ close: async () => beside.stop(), underWay: beside.underWay }, platform, end);
  await vi.advanceTimersByTimeAsync(14_900);
  expect(said).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  expect(said).toEqual([{ level: 'warn', event: 'ended_under_way', error: 'upkeep, copies to sinks' }, 'end']);
});

test('what came to its end is not said to be under way', async () => {
  const { platform } = told();
  let passes = 0;
  const recover = () => (++passes === 1 ? Promise.reject(new Error('away')) : Promise.resolve());
  const beside = startBeside({ recover }, platform);
  await vi.advanceTimersByTimeAsync(40_000);
  expect([passes, beside.underWay()]).toEqual([2, []]);
  beside.stop();
});

test('a drain that took all of the 15 s leaves a second for the ledger to close', async () => {
  const { said, platform, end } = told();
  const close = () => new Promise<void>((resolve) => setTimeout(resolve, 15_500));
  void closeInTime({ close, underWay: () => [] }, platform, end);
  await vi.advanceTimersByTimeAsync(15_400);
  expect(said).toEqual([]);
  const hung = told();
  void closeInTime({ close: never, underWay: () => [] }, hung.platform, hung.end);
  await vi.advanceTimersByTimeAsync(15_900);
  expect(hung.said).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  expect(hung.said).toEqual([{ level: 'warn', event: 'ended_under_way', error: 'closing' }, 'end']);
});
