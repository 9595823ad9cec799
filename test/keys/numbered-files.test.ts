import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { openKeyFolder } from '../../src/keys/key-folder.ts';
import { openSealedFiles } from '../../src/keys/sealed-files.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { temporaryFolder } from '../support/server.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes));
const soon = () => deadlineIn(10_000, Date.now);
const rounds = 60;

/** Does `work` over and over until `until` has ended; how often. */
async function over(until: Promise<unknown>, work: () => Promise<unknown>): Promise<number> {
  let ended = false;
  let many = 0;
  until.finally(() => {
    ended = true;
  });
  for (; !ended && many < 1_000_000; many++) await work();
  await until;
  return many;
}

it('keys that another process rotates are read all the time', async () => {
  const deps = { random, needs: [], now: () => Date.now() + 2 * 3_600_000, announceMs: 0 };
  const [one, other] = [openKeyFolder(folder, 'keys', deps), openKeyFolder(folder, 'keys', deps)];
  await one.keys(soon());
  const rotating = (async () => {
    for (let round = 0; round < rounds; round++) await other.rotate?.(soon());
  })();
  expect(await over(rotating, async () => expect((await one.keys(soon())).length).toBeGreaterThan(0))).toBeGreaterThan(
    rounds,
  );
});

it('sealed keys that another process seals anew are read all the time', async () => {
  mkdirSync(join(folder, 'sealed'));
  const [one, other] = [0, 1].map(() => openSealedFiles(folder, 'sealed', random)) as [
    ReturnType<typeof openSealedFiles>,
    ReturnType<typeof openSealedFiles>,
  ];
  await one.write('sealed 0', undefined);
  const sealing = (async () => {
    for (let round = 1; round <= rounds; round++) await other.write(`sealed ${round}`, `sealed ${round - 1}`);
  })();
  await over(sealing, async () => expect(await one.read()).toMatch(/^sealed \d+$/));
  expect(await one.read()).toBe(`sealed ${rounds}`);
});
