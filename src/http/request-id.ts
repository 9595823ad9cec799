import type { Platform } from '../lib/platform.ts';
import { randomPool } from '../lib/random-pool.ts';
import { newUlid } from '../lib/ulid.ts';

/** Makes request ids. */
export function requestIds({ now, random }: Pick<Platform, 'now' | 'random'>): () => string {
  const draw = randomPool(random);
  return () => newUlid(now(), draw);
}
