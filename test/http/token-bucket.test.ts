import { describe, expect, it } from 'vitest';
import { openBuckets } from '../../src/http/token-bucket.ts';

describe('a bucket', () => {
  it('gives so many at once, then one each so often, to each key', () => {
    const clock = { ms: 1_000 };
    const buckets = openBuckets({ most: 3, everyMs: 2_000 }, () => clock.ms);
    expect([1, 2, 3, 4].map(() => buckets.take('a'))).toEqual([0, 0, 0, 2_000]);
    expect(buckets.take('b')).toBe(0);
    clock.ms += 2_000;
    expect([1, 2].map(() => buckets.take('a'))).toEqual([0, 2_000]);
    clock.ms += 60_000;
    expect([1, 2, 3, 4].map(() => buckets.take('a'))).toEqual([0, 0, 0, 2_000]);
  });

  it('makes nobody wait longer than it takes to fill because the clock was set back', () => {
    const clock = { ms: 3_600_000 };
    const buckets = openBuckets({ most: 3, everyMs: 2_000 }, () => clock.ms);
    expect([1, 2].map(() => buckets.take('a'))).toEqual([0, 0]);
    clock.ms = 0;
    expect(buckets.take('a')).toBeLessThanOrEqual(2_000);
    clock.ms += 6_000;
    expect([1, 2, 3, 4].map(() => buckets.take('a'))).toEqual([0, 0, 0, 2_000]);
  });
});
