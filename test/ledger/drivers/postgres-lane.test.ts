import { expect, it } from 'vitest';
import type { Connection } from '../../../src/ledger/drivers/postgres/connection.ts';
import { openLane } from '../../../src/ledger/drivers/postgres/lane.ts';
import { StoreFault } from '../../../src/ledger/log-store.ts';
import { deadlineAt } from '../../../src/lib/deadline.ts';

it('takes no sound connection from the others for what had waited too long already', async () => {
  const clock = { ms: 0 };
  const facts = { made: 0, cut: 0, ran: 0 };
  let answer = () => {};
  const lane = openLane(
    async () => {
      facts.made++;
      const connection: Connection = {
        run: async (_, deadline) => {
          if (deadline.left() <= 0) throw new StoreFault('timeout');
          facts.ran++;
          await new Promise<void>((resolve) => {
            answer = resolve;
          });
          return [[]];
        },
        script: async () => [],
        isOver: () => false,
        close() {},
        cut: () => void facts.cut++,
      };
      return connection;
    },
    1,
    () => clock.ms,
  );
  const ask = (ms: number) =>
    lane.run(
      { text: 'SELECT' },
      [],
      deadlineAt(ms, () => clock.ms),
    );
  const slow = ask(10_000);
  const late = ask(1_000).catch((error: StoreFault) => error.reason);
  const next = ask(10_000);
  await expect.poll(() => facts.ran).toBe(1);
  clock.ms = 2_000;
  answer();
  await slow;
  expect(await late).toBe('timeout');
  await expect.poll(() => facts.ran).toBe(2);
  answer();
  await next;
  expect(facts).toEqual({ made: 1, cut: 0, ran: 2 });
});
