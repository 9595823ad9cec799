import type { Platform } from '../lib/platform.ts';
import { newUlid } from '../lib/ulid.ts';

const pooled = 4_096;

/** Makes request ids. Randomness is drawn in blocks, as a system call for each id costs more than the rest of it. */
export function requestIds({ now, random }: Pick<Platform, 'now' | 'random'>): () => string {
  let pool = new Uint8Array(0);
  let used = 0;
  const take = (bytes: number) => {
    if (used + bytes > pool.length) {
      pool = new Uint8Array(random(pooled));
      used = 0;
    }
    used += bytes;
    return pool.subarray(used - bytes, used);
  };
  return () => newUlid(now(), take);
}
