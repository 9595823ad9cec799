import * as s from '../lib/schema/index.ts';
import { parseDuration } from '../lib/time.ts';

const most = 3600;

/** How long a value read from the store may be reused: `cache` of every store's config entry. */
export const cacheSchema = s.optional(
  s.later(() =>
    s
      .string('expected a duration such as 60s, or "0"')
      .check(
        s.refine(
          (text) => text === '0' || (parseDuration(text) ?? most + 1) <= most,
          'expected "0", or a duration up to 1h',
        ),
      ),
  ),
);

/** Milliseconds; 60 s where nothing is written, 0 = ask the store each time. */
export const cacheMs = (cache: string | undefined): number => (parseDuration(cache ?? '60s') ?? 0) * 1000;
