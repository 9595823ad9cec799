import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startUpkeep } from '../../src/http/upkeep.ts';
import { Refusal } from '../../src/lib/refusal.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const lines: string[] = [];
const platform = { now: Date.now, log: (_: string, event: string) => void lines.push(event) };

test('upkeep does not say every time that the standby is away, as the ledger has', async () => {
  const said: unknown[] = [];
  let reason = 'unconfirmed';
  const log = (_: string, event: string, facts: object = {}) => said.push({ event, ...facts });
  const recover = () => Promise.reject(new Refusal('ledger_unavailable', reason));
  const upkeep = startUpkeep(recover, { now: Date.now, log });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(said).toEqual([]);
  reason = 'replaced';
  await vi.advanceTimersByTimeAsync(30_000);
  expect(said).toEqual([{ event: 'recover_failed', reason }]);
  upkeep.stop();
});

test('upkeep runs when the first request has had a second for itself, then every 30 s also after a failure, one at a time, until it is stopped', async () => {
  let passes = 0;
  let finish: (() => void) | undefined;
  const recover = () => {
    passes++;
    if (passes === 2) return Promise.reject(new Refusal('ledger_unavailable', 'down'));
    if (passes === 3) return new Promise<void>((resolve) => (finish = resolve));
    return Promise.resolve();
  };
  const upkeep = startUpkeep(recover, platform);
  await vi.advanceTimersByTimeAsync(999);
  expect(passes).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(passes).toBe(1);
  await vi.advanceTimersByTimeAsync(30_000);
  expect([passes, lines]).toEqual([2, ['recover_failed']]);
  await vi.advanceTimersByTimeAsync(300_000);
  expect(passes).toBe(3);
  finish?.();
  await vi.advanceTimersByTimeAsync(30_000);
  expect(passes).toBe(4);
  upkeep.stop();
  await vi.advanceTimersByTimeAsync(300_000);
  expect(passes).toBe(4);
});

test('upkeep that is stopped before its first pass makes none', async () => {
  let passes = 0;
  const upkeep = startUpkeep(async () => void passes++, platform);
  upkeep.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(passes).toBe(0);
});
