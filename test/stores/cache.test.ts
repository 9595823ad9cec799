import { describe, expect, it } from 'vitest';
import * as s from '../../src/lib/schema/index.ts';
import { cacheMs, cacheSchema } from '../../src/stores/cache.ts';

describe('a store’s cache', () => {
  it.each([
    [undefined, 60_000],
    ['0', 0],
    ['1s', 1_000],
    ['1h', 3_600_000],
  ])('%j is %d ms', (cache, ms) => {
    expect(s.safeParse(cacheSchema, cache).success).toBe(true);
    expect(cacheMs(cache)).toBe(ms);
  });

  it.each(['', '0s', '2h', '1d', '60', 60, '-1s', '1.5s'])('refuses %j', (cache) => {
    expect(s.safeParse(cacheSchema, cache).success).toBe(false);
  });
});
