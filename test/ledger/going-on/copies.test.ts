import { expect, it } from 'vitest';
import type { Copied } from '../../../src/ledger/following.ts';
import { adoptRun } from '../../../src/ledger/going-on/copies.ts';
import { soon } from '../fixtures.ts';

it.each([
  [1_000, 10, [400, 400, 200]],
  [300, 65_500, Array.from({ length: 19 }, (_, at) => (at < 18 ? 16 : 12))],
  [3, 2 * 1024 * 1024, [1, 1, 1]],
])('%i entries of %i characters are put back in commits that a standby can take', async (many, chars, sizes) => {
  const adopted: Copied[] = [];
  const ledger = { adopt: async (copied: Copied) => adopted.push(copied) };
  const entries = Array.from({ length: many }, (_, at) => ({ record: String(at), disclosure: 'x'.repeat(chars) }));
  const run = { log: 'l', base: 100, generation: 2, from: 5, range: [], until: { note: 'signed' }, entries };
  await adoptRun(ledger as never, run as never, soon);
  expect(adopted.map(({ entries: some }) => some.length)).toEqual(sizes);
  expect(adopted.flatMap(({ entries: some }) => some)).toEqual(entries);
  let from = 105;
  for (const [at, { checkpoints, entries: some, ...rest }] of adopted.entries()) {
    expect(rest).toMatchObject({ generation: 2, base: 100, from });
    from += some.length;
    expect(checkpoints).toEqual([{ end: from, note: at === sizes.length - 1 ? 'signed' : null }]);
  }
});
